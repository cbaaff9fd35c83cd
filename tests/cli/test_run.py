"""Whole commands for every task, in this process: count, train, evaluate, report."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image

from mogabench import load
from mogabench.checkpoints import Description
from mogabench.data.shapes import sample_shapes
from mogabench.errors import UserError
from mogabench.records import Kind, Store, packaged_results
from mogabench.subject import Subject
from mogabench.tasks import get_task
from mogabench.tasks.classification.options import ClassificationOptions
from tests.cli.same_predictions import make_bold, predict_the_same

TOY = Path(__file__).parents[1] / "tasks" / "toy.py"


@pytest.fixture(scope="module")
def few_shapes(tmp_path_factory):
    """The first six training and four validation images of the shapes, as a COCO folder."""
    source, target = sample_shapes() / "coco", tmp_path_factory.mktemp("coco")
    for part, count in (("train", 6), ("val", 4)):
        file = f"annotations/instances_{part}2017.json"
        content = json.loads((source / file).read_text())
        content["images"] = content["images"][:count]
        kept = {image["id"] for image in content["images"]}
        content["annotations"] = [x for x in content["annotations"] if x["image_id"] in kept]
        (target / "annotations").mkdir(exist_ok=True)
        (target / file).write_text(json.dumps(content))
        (target / f"{part}2017").mkdir()
        for image in content["images"]:
            shutil.copy(source / f"{part}2017" / image["file_name"], target / f"{part}2017")
    return target


TRAININGS = {
    "classification": (
        "classifier --backbone test_resnet",
        "schedule.epochs=1 schedule.warmup_epochs=0 batch_size=500",
        32,
    ),
    "detection": ("retinanet --backbone resnet10t", "schedule.epochs=1 batch_size=2", 96),
    "segmentation": ("semantic_fpn --backbone resnet10t", "schedule.steps=11 batch_size=2", 96),
    "pose": ("simple_baseline --backbone test_resnet", "schedule.epochs=1 batch_size=256", None),
    "mesh": ("expose_hand --backbone test_resnet", "schedule.epochs=1 batch_size=400", None),
    "video": (
        "simvp --backbone moganet",
        "schedule.epochs=1 sequences=8 model.hidden_dim=32",
        None,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_a_command_trains_and_another_evaluates_what_it_left(name, mogabench, few_shapes, tmp_path):
    task, (network, overrides, side) = get_task(name), TRAININGS[name]
    arguments = ["run", name, "--method", *network.split(), "--recipe", task.sample_recipe]
    data = ["--data", few_shapes if name == "detection" else "sample", "--workers", "0"]
    settings = [word for text in overrides.split() for word in ("--set", text)]
    work = tmp_path / "work"
    out, err = mogabench(*arguments, *data, *settings, "--train", "--work-dir", work, "-q")
    store = Store(tmp_path / "data" / "mogabench")
    (record,) = store.all(Kind.QUALITY)
    assert set(record.values) <= {metric.name for metric in task.metrics}
    first = next(metric for metric in task.metrics if metric.name in record.values)
    value = record.values[first.name].value
    printed = f"{value:.2f} %" if first.unit == "%" else f"{value:.4g}"
    assert f"{first.label.partition(' (')[0]} {printed}" in out
    assert "throughput" not in out  # only where it is asked for
    trained = load(work / "weights.pth")._model.network
    parameters = sum(weight.numel() for weight in trained.parameters())
    assert f"parameters {parameters / 1e6:.3f} M" in out  # of the network that was trained
    assert "training " in err
    assert record.provenance.recipe == task.sample_recipe
    assert set(overrides.split()) == {
        f"{key}={value}" for key, value in record.provenance.recipe_changes.items()
    }
    if side is not None:
        assert record.provenance.evaluated_size[0] == record.subject.input_size[0] == side
    assert (work / "curve.png").exists() and (work / "weights.pth").exists()
    kept = tmp_path / "data" / "mogabench" / "trainings" / record.provenance.weights[:12]
    assert (kept / "curve.jsonl").read_bytes() == (work / "curve.jsonl").read_bytes()
    counted = Store(store.results, base=packaged_results())  # SimVP's count comes with the package
    assert counted.latest(record.subject.key, Kind.COMPLEXITY) is not None

    file = tmp_path / f"predictions{task.predictions}"
    asked = ["--predictions", file] if task.predictions else []
    asked += ["--per-class"] if task.has_classes else []
    asked += ["--confusion", tmp_path / "matrix.csv"] if task.has_confusions else []
    # Network, options, size and recipe are those that the weights state.
    evaluation = ["run", name, *data, "--weights", work / "weights.pth", *asked, "-q"]
    again, _ = mogabench(*evaluation, "--format", "json")
    assert file.exists() == bool(task.predictions)
    by_class = json.loads(again).get("by_class")
    assert bool(by_class) if task.has_classes else by_class is None
    assert (tmp_path / "matrix.csv").exists() == task.has_confusions
    evaluated = json.loads(again)["quality"]
    assert evaluated["values"][first.name]["value"] == pytest.approx(value, rel=1e-6)
    assert evaluated["provenance"]["weights"] == record.provenance.weights
    assert Subject(**evaluated["subject"]) == record.subject
    if name == "detection":  # so short a training finds nothing
        make_bold(work / "weights.pth")
        mogabench(*evaluation)
    predict_the_same(name, file, work / "weights.pth", few_shapes, mogabench)
    batches = {"segmentation": 1, "detection": 1, "pose": 32, "video": 16}
    assert evaluated["provenance"]["batch_size"] == batches.get(name, 64)


def test_predictions_and_classes_are_refused_where_there_are_none(mogabench):
    pose = ["run", "pose", "--backbone", "test_resnet", "--data", "sample", "--weights", "official"]
    _, err = mogabench(*pose, "--predictions", "poses.csv", status=2)
    assert "--predictions poses.csv: what pose predicts goes to a .json file" in err
    _, err = mogabench(*pose, "--per-class", status=2)
    assert "--per-class: pose has no classes" in err
    _, err = mogabench(*pose, "--confusion", "matrix.csv", status=2)
    assert "--confusion: pose does not choose one class for each image or pixel" in err
    mesh = ["run", "mesh", "--backbone", "test_resnet", "--data", "sample", "--train"]
    _, err = mogabench(*mesh, "--predictions", "hands.csv", status=2)
    assert "--predictions hands.csv: what mesh predicts goes to a .json file" in err
    digits = ["run", "classification", "-v", "xt", "--data", "sample", "--train"]
    _, err = mogabench(*digits, "--confusion", "matrix.png", status=2)
    assert "--confusion matrix.png: the confusion matrix goes to a .csv file" in err


@pytest.mark.slow
def test_images_without_annotations_are_predicted_and_not_measured(mogabench, tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "images" / "a.png")
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.pth")
    arguments = ["run", "classification", "--backbone", "test_resnet", "--size", "32"]
    arguments += ["--data", tmp_path / "images", "--weights", tmp_path / "weights.pth"]
    _, err = mogabench(*arguments, status=2)
    assert "folder:images has no annotations: --predictions FILE.csv writes" in err
    asked = ["--predictions", tmp_path / "found.csv", "--per-class"]
    out, err = mogabench(*arguments, *asked, "--format", "json")
    assert "nothing was measured, since folder:images has no annotations" in err
    assert json.loads(out)["quality"] is None
    assert not list(Store(tmp_path / "data" / "mogabench").all(Kind.QUALITY))
    out, _ = mogabench(*arguments, *asked)
    assert "Top-1" not in out and "images" not in out
    assert (tmp_path / "found.csv").read_text().count("a.png") == 1


@pytest.fixture
def asked(mogabench, monkeypatch):
    """What an evaluation with these words asks `make_job` for."""
    seen = []

    def record(task, subject, **settings):
        seen.append({"subject": subject, **settings})
        raise UserError("seen")

    monkeypatch.setattr("mogabench.engine.make_job.make_job", record)
    monkeypatch.setattr("mogabench.cli.run._STARTED", 100.0)

    def ask(*words):
        mogabench("run", "classification", "-v", "xt", "--data", "d", *words, status=2)
        return seen[-1]

    return ask


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("--weights official", {"weights": "official"}),
        ("--pretraining in21k", {"pretraining": "in21k"}),
        ("--no-ema", {"ema": False}),
        ("--new-head", {"new_head": True}),
        ("--train", {"train": True}),
        ("--resume", {"resume": True}),
        ("--recipe r.yaml --set a=1 --set b=2", {"recipe": "r.yaml", "overrides": ["a=1", "b=2"]}),
        ("--time-budget 1.5m", {"deadline": 190.0}),
        ("--work-dir w", {"work_dir": Path("w")}),
        ("--device cuda", {"device": "cuda"}),
        ("--amp bfloat16", {"amp": "bfloat16"}),
        ("--channels-last", {"channels_last": True}),
        ("--no-channels-last", {"channels_last": False}),
        ("--compile", {"compile": True}),
        ("--runtime openvino", {"runtime": "openvino"}),
        ("--batch-size 3", {"batch_size": 3}),
        ("--workers 7", {"workers": 7}),
        ("--on-bad-image fill", {"on_bad_image": "fill"}),
        ("--predictions p.csv", {"predictions": Path("p.csv")}),
        ("--confusion c.csv", {"confusion": Path("c.csv")}),
        ("--class-map m.txt", {"options": ClassificationOptions(class_map=Path("m.txt"))}),
        ("--quiet", {"quiet": True}),
    ],
)
def test_each_option_reaches_the_job_and_changes_nothing_else(asked, words, changes):
    assert asked(*words.split()) == asked() | changes
    assert not changes.items() <= asked().items()


def test_another_gpu_than_the_first_is_not_timed_in_its_place(mogabench, monkeypatch, tmp_path):
    """A timing is a process of its own, on the first GPU."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("mogabench.engine.environment.find_gpu_fault", lambda _: "")
    monkeypatch.setattr("mogabench.tables.row.time_briefly", lambda *_: 1 / 0)
    network = ("run", "classification", "--backbone", "test_resnet", "--results", tmp_path)
    _, err = mogabench(*network, "--device", "cuda:1", status=2)
    assert "choose another one by CUDA_VISIBLE_DEVICES, not by --device cuda:1" in err
    assert not list(tmp_path.iterdir())  # it has not counted, and would not have trained


def test_weights_of_another_task_are_refused_by_name(mogabench, tmp_path):
    meta = Description("video", "simvp", "moganet").to_meta()
    torch.save({"state_dict": {"a": torch.ones(1)}, "meta": meta}, tmp_path / "w.pth")
    evaluation = ("run", "classification", "--data", "sample", "--weights", tmp_path / "w.pth")
    _, err = mogabench(*evaluation, status=2)
    assert err.endswith("w.pth holds the weights of video/simvp/moganet, not of classification\n")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_ones_own_data_stands_below_no_rows_of_imagenet(mogabench, folder, tmp_path):
    torch.save(timm.create_model("resnet18", num_classes=3).state_dict(), tmp_path / "w.pth")
    evaluation = ["run", "classification", "--backbone", "resnet18", "--data", folder]
    out, _ = mogabench(*evaluation, "--weights", tmp_path / "w.pth", "--workers", "0", "-q")
    # ResNet-18 has 11689512 parameters; 997 classes fewer, each with 512 weights and a bias.
    assert "with 3 classes: parameters 11.178 M" in out
    assert "Table 2" not in out and "to measure the rest" not in out
    assert out.splitlines()[0] == "classification/classifier/resnet18@224x224"


def test_without_data_a_network_is_counted_and_timed(mogabench):
    out, _ = mogabench("run", "classification", "--backbone", "test_convnext", "--size", "32")
    assert re.search(r"parameters 0\.\d+ M; operations .* G \(matmul\)", out)
    assert re.search(
        r"throughput [\d.]+ img/s \((± [\d.]+ %, )?[\d.]+ of its floor, batch 1, float32,", out
    )


def test_options_that_need_data_are_named(mogabench):
    run = ("run", "classification", "-v", "xt", "--device", "cpu", "--format", "json", "-q")
    _, err = mogabench(*run, "--workers", "7", status=2)
    assert err.startswith("mogabench: --workers needs --data DIR (or --data sample); ")
    _, err = mogabench(*run, "--no-ema", "--class-map", "f", "--confusion", "c.csv", status=2)
    assert err.startswith("mogabench: --no-ema and --confusion and --class-map need --data DIR")


def test_help_of_a_task_shows_its_own_options(mogabench):
    pose, _ = mogabench("run", "pose", "--help")
    assert "--boxes FILE" in pose and "--on-bad-image" in pose and "--translator" not in pose
    assert "simple_baseline" in pose and "sample_figures" in pose
    assert "mogabench run pose --variant xt --data sample --train" in " ".join(pose.split())
    classification, _ = mogabench("run", "classification", "--help")
    assert "--boxes" not in classification and "--class-map" in classification
    video, _ = mogabench("run", "video", "--help")
    assert "--translator" in video and "gsta" in video
    assert "--variant" not in video and "--ablation" not in video
    headings = [line.rstrip(":") for line in pose.splitlines() if line[:1].isupper()]
    assert headings[1:] == [
        *("Network", "Data and weights", "Training", "Execution", "Output", "Options of pose")
    ]
    own = re.findall(r"^  (--[\w-]+)", pose.partition("Options of pose:")[2], re.M)
    assert own == ["--annotations", "--images", "--boxes"]
    every, _ = mogabench("run", "--help")
    assert all(name in every for name in TRAININGS)


@pytest.mark.slow
def test_a_report_holds_the_records(mogabench, tmp_path):
    own = tmp_path / "own"
    store = Store(own)
    packaged = Store(packaged_results())
    quality = next(packaged.all(Kind.QUALITY))
    record = quality.model_copy(deep=True)
    record.provenance.seed = 99
    record.provenance.recipe_digest = "another"
    store.append(record)
    out, _ = mogabench("report", "--results", own, "-q")
    assert f"{own}/README.md" in out
    index = (own / "README.md").read_text()
    assert "[3](table_3.md)" in index
    assert "MogaNet-XL" in (own / "table_3.md").read_text()
    trainings = (own / "trainings.md").read_text()
    # The packaged one and ours differ in their seed alone: they are one row.
    assert f"| {record.subject.backbone} | 2 |" in trainings
    assert (own / "figure_1_parameters.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_task_of_ones_own_counts_trains_resumes_evaluates_and_lists(mogabench, tmp_path):
    shutil.copy(TOY, tmp_path / "toy.py")
    own = ["--import", "toy"]
    assert "--contrast" in mogabench("run", "toy", *own, "--help")[0]
    arguments = ["run", "toy", *own, "--backbone", "test_resnet", "-q"]
    assert "throughput" in mogabench(*arguments)[0]
    train = [*arguments, "--data", "sample", "--contrast", "0.2", "--workers", "0"]
    train += ["--work-dir", tmp_path / "work"]
    out, _ = mogabench(*train, "--train")
    again, err = mogabench(*train, "--train", "--resume")
    assert "going on after step 40" in err
    assert out.splitlines()[1] == again.splitlines()[1]
    assert (tmp_path / "work" / "predictions.png").exists()
    weights = [*train, "--weights", tmp_path / "work" / "weights.pth"]
    evaluated, _ = mogabench(*weights)
    assert (
        evaluated.splitlines()[1].partition(" on ")[0] == out.splitlines()[1].partition(" on ")[0]
    )
    images = ["predict", tmp_path, "--import", "toy", "--weights", tmp_path / "work/weights.pth"]
    _, error = mogabench(*images, status=2)
    assert error.startswith("mogabench: toy predicts from data sets alone")
    _, error = mogabench(*arguments, "--contrast", "high", status=2)
    assert "Invalid value for '--contrast'" in error
    _, error = mogabench("run", "pose", *own, "--contrast", "1", status=2)
    assert error == "mogabench: --contrast is an option of toy, not of pose\n"


def test_a_task_of_an_entry_point(tmp_path):
    """A package that is installed with an entry point needs no --import."""
    shutil.copy(TOY, tmp_path / "toy_package.py")
    info = tmp_path / "toy_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[mogabench.tasks]\ntoy = toy_package:TASK\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from mogabench.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "list", "tasks", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "toy" in {task["task"] for task in json.loads(done.stdout)}


@pytest.mark.slow
def test_of_two_processes_one_counts_stores_and_prints(folder, tmp_path):
    script = str(Path(sys.executable).with_name("mogabench"))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    run = [script, "run", "classification", "--backbone", "test_convnext", "--data", folder]
    run += ["--recipe", "sample_digits", "--train", "--set", "schedule.epochs=1", "--set"]
    run += ["schedule.warmup_epochs=0", "--set", "batch_size=16", "--workers", "0", "-q"]
    run += ["--work-dir", tmp_path / "work", "--results", tmp_path / "results"]
    done = subprocess.run(
        [*launcher, "--no-python", *map(str, run)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # The network as it is, and with the classes of the data.
    assert done.stderr.count("counting 1/1") == 2
    assert done.stdout.count("Top-1") == done.stdout.count("parameters ") == 1
    store = Store(tmp_path / "results")
    assert len(list(store.all(Kind.QUALITY))) == 1
    counted = [record.subject.options for record in store.all(Kind.COMPLEXITY)]
    assert sorted(counted) == [(), (("num_classes", 3),)]

"""The weights that a training leaves behind: what they state, and where they are refused."""

import json
import shutil
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
import timm
import torch

from mogabench import api
from mogabench.checkpoints import Description, load_into, read_state_dict
from mogabench.data.shapes import SCENE_CLASSES, sample_shapes
from mogabench.engine.make_job import make_job
from mogabench.engine.record import quality_record
from mogabench.engine.run import run
from mogabench.engine.runner import make_runner
from mogabench.engine.saving import CHECKPOINT
from mogabench.engine.weights import load_job_weights, stated_recipe
from mogabench.errors import UserError
from mogabench.files import sha256
from mogabench.subject import Subject
from mogabench.tasks import get_task, load_recipe
from mogabench.tasks.classification import TASK


def short_job(task, method, folder, *overrides, **changes):
    """A job on a tiny network; few steps where it trains."""
    subject = Subject(task=task, method=method, backbone="resnet10t", input_size=(96, 96))
    settings = {
        "data": "sample",
        "size_is_given": False,
        "recipe": get_task(task).sample_recipe,
        "overrides": overrides,
        "weights": None,
        "train": True,
        "work_dir": folder,
        "device": "cpu",
        "workers": 0,
        "quiet": True,
    }
    return make_job(get_task(task), subject, **settings | changes)


@pytest.mark.slow
def test_weights_and_records_say_what_the_training_started_from(job, tmp_path):
    start = timm.create_model("test_convnext", num_classes=3).state_dict()
    torch.save(start, tmp_path / "theirs.pth")

    def start_of(changed):
        outcome = run(changed, TASK)
        record = quality_record(TASK, changed, outcome)
        return record.provenance.pretraining, outcome.checkpoint

    def data_of(weights):
        changed = job(train=False, recipe=None, weights=weights, work_dir=None)
        return quality_record(TASK, changed, run(changed, TASK)).provenance.training_data

    scratch, own = start_of(job("schedule.epochs=1"))
    assert (data_of(own), data_of(tmp_path / "theirs.pth")) == ("folder:colours", None)
    evaluation = job("schedule.epochs=1", train=False, weights=own, work_dir=None)
    assert (scratch, start_of(evaluation)[0]) == ("none", "none")
    with pytest.raises(UserError, match=r"--pretraining in21k: .*weights\.pth states none; leave"):
        run(replace(evaluation, pretraining="in21k"), TASK)

    theirs = job(train=False, recipe=None, weights=tmp_path / "theirs.pth", work_dir=None)
    assert start_of(theirs)[0] is None
    assert start_of(replace(theirs, pretraining="in1k"))[0] == "in1k"

    # Whatever comes after ImageNet-21K, it was there.
    begun = job("schedule.epochs=1", weights=tmp_path / "theirs.pth", work_dir=tmp_path / "tuned")
    tuned, file = start_of(replace(begun, pretraining="in21k"))
    again, _ = start_of(replace(begun, weights=file, work_dir=tmp_path / "again"))
    assert (tuned, again) == ("in21k", "in21k")
    content = torch.load(own, weights_only=True)
    content["meta"]["data"]["name"] = "imagenet-1k"
    torch.save(content, tmp_path / "of_imagenet.pth")
    tuned, _ = start_of(
        replace(begun, weights=tmp_path / "of_imagenet.pth", work_dir=tmp_path / "fourth")
    )
    assert tuned == "in1k"
    # Of weights that were trained here on data of the user's, only the user knows.
    unsaid, file = start_of(replace(begun, weights=own, work_dir=tmp_path / "third"))
    assert unsaid == "unknown"
    assert start_of(replace(evaluation, weights=file))[0] == "unknown"
    assert start_of(replace(evaluation, weights=file, pretraining="in1k"))[0] == "in1k"


def test_weights_state_what_it_takes_to_use_them(job):
    outcome = run(job("optimizer.lr=1e-3"), TASK)
    stated = Description.from_meta(read_state_dict(outcome.checkpoint).meta["meta"])
    assert (stated.task, stated.method, stated.backbone) == (
        *("classification", "classifier", "test_convnext"),
    )
    assert stated.classes == ("blue", "green", "red")
    assert stated.options == {"num_classes": 3}
    assert stated.input_size == (32, 32)
    assert (stated.mean, stated.std) == (
        (0.5, 0.5, 0.5),
        (0.5, 0.5, 0.5),
    )  # of timm's test_convnext
    assert (stated.recipe, stated.recipe_changes["optimizer.lr"]) == ("sample_digits", 0.001)
    assert stated.epochs == 2


@pytest.mark.parametrize(
    ("name", "method"), [("classification", "classifier"), ("segmentation", "semantic_fpn")]
)
def test_weights_are_not_given_other_pixels_than_in_their_training(tmp_path, name, method):
    task, file = get_task(name), tmp_path / "w.pth"
    subject = Subject(task=name, method=method, backbone="resnet10t", input_size=(64, 64))
    network = task.build(subject)
    own = task.normalization(network, subject)
    start = network.state_dict()
    same, other = (own.mean, own.std), (0.5, 0.5, 0.5)
    for mean, std in (same, (other, own.std), (own.mean, other), (own.mean[:1], own.std[:1])):
        meta = Description(name, method, "resnet10t", mean=mean, std=std).to_meta()
        torch.save({"state_dict": start, "meta": meta}, file)
        refused = pytest.raises(UserError, match=r"was trained with the normalisation .* now uses")
        with nullcontext() if (mean, std) == same else refused:
            api.load(file)
    # A training takes those of the network.
    task.prepare(short_job(name, method, tmp_path / "work", weights=str(file), new_head=True))


def test_a_training_begins_with_the_average_or_without_it(tmp_path):
    job = short_job("segmentation", "semantic_fpn", tmp_path / "work")
    task = get_task("segmentation")
    network = task.build(job.network_subject(3))
    start = network.backbone.network.state_dict()
    # A classifier's file, as timm writes it, whose two sets of weights differ everywhere.
    entries = {
        entry: {name: torch.full_like(tensor, value) for name, tensor in start.items()}
        for entry, value in (("state_dict", 1), ("state_dict_ema", 2))
    }
    torch.save(entries, tmp_path / "classifier.pth")
    for ema, value in ((True, 2), (False, 1)):
        begun = replace(job, weights=tmp_path / "classifier.pth", ema=ema)
        load_job_weights(task, begun, network)
        assert network.backbone.network.state_dict()["conv1.0.weight"].unique() == value


def test_without_the_average_needs_a_file_that_has_both(job, tmp_path):
    start = timm.create_model("test_convnext", num_classes=3).state_dict()
    one, both = tmp_path / "one.pth", tmp_path / "both.pth"
    torch.save({"state_dict": start}, one)
    torch.save({"state_dict": start, "state_dict_ema": dict(start)}, both)
    run(job(train=False, ema=False, recipe=None, weights=both, work_dir=None), TASK)
    with pytest.raises(UserError, match="one set of weights, not averaged and raw ones"):
        run(job(train=False, ema=False, recipe=None, weights=one, work_dir=None), TASK)


def test_weights_are_not_called_trained_by_another_recipe(job):
    trained = job("schedule.epochs=1", "ema=null")
    weights = run(trained, TASK).checkpoint
    run(replace(trained, train=False, weights=weights, ema=False, work_dir=None), TASK)
    cropped = job("schedule.epochs=1", "ema=null", "input.crop_ratio=0.8", weights=weights)
    run(replace(cropped, train=False, ema=False, work_dir=None), TASK)
    of_training = ("precise_bn=16", "ema={}", "schedule.epochs=3")
    of_input = ("input.train_size=48", "input.interpolation=bilinear")
    for change in (*of_training, *of_input):
        other = job("schedule.epochs=1", "ema=null", change, train=False, weights=weights)
        with pytest.raises(UserError, match=r"was trained by --recipe sample_digits .*, not by"):
            run(replace(other, work_dir=None), TASK)


@pytest.mark.parametrize(
    ("recipe", "size", "changes"),
    [
        ("in1k_300e", (128, 128), {"input.train_size": 128}),
        ("upernet_160k", (256, 1024), {"input.short_side": 256, "input.crop": 256}),
        ("retinanet_1x", (400, 640), {"input.train_scales": [[640, 400]]}),
        ("simple_baseline_256x192", (128, 96), {"input.size": [128, 96]}),
    ],
)
def test_training_at_another_size_is_a_change(tmp_path, recipe, size, changes):
    paper, weights = load_recipe(recipe), tmp_path / "weights.pth"
    owner = get_task(paper.task)
    subject = Subject(task=paper.task, method=paper.method, backbone="resnet10t", input_size=size)
    settings = {"data": "/data", "overrides": (), "size_is_given": True, "device": "cpu"}
    settings |= {"train": True, "weights": None, "work_dir": tmp_path}
    training = make_job(owner, subject, recipe=recipe, **(settings | {"overrides": ["seed=7"]}))
    stated = Description(
        *(subject.task, subject.method, subject.backbone),
        recipe=recipe,
        recipe_settings=training.recipe.model_dump(mode="json"),
    )
    torch.save({"state_dict": {"weight": torch.zeros(1)}, "meta": stated.to_meta()}, weights)
    settings |= {"train": False, "weights": str(weights), "work_dir": None}
    for given in (recipe, stated_recipe(owner, stated)):
        same = make_job(owner, subject, recipe=given, **settings)
        assert (same.recipe, same.recipe.changes) == (training.recipe, {})
        larger = subject.model_copy(update={"input_size": paper.size})
        other = make_job(owner, larger, recipe=given, **settings)
        assert (other.subject, other.recipe.changes) == (larger, changes)
        assert same.seed == other.seed == 7
        assert other.recipe.digest != paper.digest


def test_a_record_says_that_the_training_was_at_another_size(folder, tmp_path):
    short = ("schedule={epochs: 1, warmup_epochs: 0}", "batch_size=16")
    small = partial(short_job, "classification", "classifier", data=str(folder))
    weights = run(small(tmp_path / "work", *short, size_is_given=True), TASK).checkpoint
    evaluation = small(None, *short, train=False, weights=str(weights))
    record = quality_record(TASK, evaluation, run(evaluation, TASK))
    assert record.provenance.evaluated_size == (32, 32)
    assert record.provenance.recipe_changes["input.train_size"] == 96


def test_a_record_says_that_the_weights_are_not_the_average(job, tmp_path):
    start = timm.create_model("test_convnext", num_classes=3).state_dict()
    torch.save({"state_dict": start, "state_dict_ema": dict(start)}, tmp_path / "both.pth")
    plain = job(train=False, recipe=None, weights=tmp_path / "both.pth", work_dir=None)
    for ema, changes in ((False, {"ema": None}), (True, None)):
        chosen = replace(plain, ema=ema)
        record = quality_record(TASK, chosen, run(chosen, TASK))
        assert record.provenance.recipe_changes == changes


def test_a_record_says_what_of_a_file_was_taken_and_left_out(job, tmp_path):
    start = timm.create_model("test_convnext", num_classes=5).state_dict()
    torch.save({"model": start, "ema": dict(start)}, tmp_path / "other.pth")
    begun = job("schedule.epochs=1", weights=tmp_path / "other.pth", new_head=True)
    record = quality_record(TASK, begun, run(begun, TASK))
    assert "other.pth: several sets of weights: loaded 'ema'" in record.notes
    assert "other.pth: 2 tensors were left out, such as head.fc.weight" in record.notes


@pytest.mark.parametrize("train", [False, True])
def test_a_record_names_the_weights_that_were_there_when_the_job_began(job, tmp_path, train):
    file = tmp_path / "start.pth"
    torch.save(timm.create_model("test_convnext", num_classes=3).state_dict(), file)
    digest = sha256(file)
    asked = job("schedule.epochs=1", train=train, weights=file)
    outcome = run(asked, TASK)
    torch.save({"another": torch.zeros(1)}, file)
    where = quality_record(TASK, asked, outcome).provenance
    assert (where.initial_weights if train else where.weights) == digest


def test_weights_that_are_replaced_before_they_are_loaded_are_refused(job, tmp_path, monkeypatch):
    file = tmp_path / "start.pth"
    network = timm.create_model("test_convnext", num_classes=3)
    torch.save(network.state_dict(), file)
    prepare = type(TASK).prepare

    def replace_first(task, asked):  # as the training does whose checkpoint is evaluated
        torch.save({"state_dict": network.state_dict()}, file)
        return prepare(task, asked)

    monkeypatch.setattr(type(TASK), "prepare", replace_first)
    with pytest.raises(UserError, match=r"start\.pth was replaced while .* a copy"):
        run(job(train=False, recipe=None, weights=file, work_dir=None), TASK)


def test_a_training_does_not_begin_with_the_files_that_it_will_write(job):
    run(job("schedule.epochs=1"), TASK)
    (job().work_dir / CHECKPOINT).unlink()
    for name in ("weights.pth", "weights.safetensors"):
        with pytest.raises(UserError, match=f"{name} would be replaced .* another --work-dir"):
            run(job("schedule.epochs=1", weights=job().work_dir / name, resume=True), TASK)


def test_a_record_names_the_code_that_ran_and_not_what_is_there_when_it_ends(
    job, tmp_path, monkeypatch
):
    def git(*words):
        who = ("-c", "user.name=me", "-c", "user.email=me@here")
        command = ["git", "-C", tmp_path, *who, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def commit(text):
        git("commit", "-q", "--allow-empty", "-m", text)
        return git("rev-parse", "HEAD")

    git("init", "-q")
    began = commit("began")
    origin = import_module("mogabench.records.provenance")
    monkeypatch.setattr(origin, "__file__", str(tmp_path / "mogabench" / "records" / "a.py"))
    for name in ("packages", "_source_revision"):  # as in a process of its own
        monkeypatch.setattr(origin, name, cache(getattr(origin, name).__wrapped__))
    asked = job("schedule.epochs=1")
    outcome = run(asked, TASK)
    monkeypatch.setattr(origin, "version", lambda _: "updated")
    assert commit("updated") != began
    where = quality_record(TASK, asked, outcome).provenance
    assert (where.commit, where.packages["torch"]) == (began, version("torch"))


def test_classes_in_another_order_are_refused(job, folder, tmp_path):
    outcome = run(job("schedule.epochs=1"), TASK)
    reverse = tmp_path / "reverse.txt"
    reverse.write_text("red\ngreen\nblue\n")
    options = TASK.Options(class_map=reverse)
    evaluation = job(train=False, weights=outcome.checkpoint, options=options, work_dir=None)
    refused = "blue, green, red, but the data or the class map has red, green, blue; names .* equal"
    with pytest.raises(UserError, match=f"{refused}; give the --class-map that .* trained with$"):
        run(evaluation, TASK)
    again = job(weights=outcome.checkpoint, options=options, work_dir=tmp_path / "again")
    with pytest.raises(UserError, match=r"--new-head trains a new head$"):
        TASK.prepare(again)
    TASK.prepare(replace(again, new_head=True))


@pytest.mark.slow
def test_a_detector_of_other_categories_is_refused(tmp_path):
    shapes = Path(shutil.copytree(sample_shapes() / "coco", tmp_path / "shapes"))
    names = ("disc", "square", "triangle")
    task = get_task("detection")
    trained = short_job("detection", "retinanet", tmp_path / "work")
    network = task.prepare(trained).model.network
    meta = Description("detection", "retinanet", "resnet10t", classes=names).to_meta()
    weights = tmp_path / "weights.pth"
    state = {name: value + 1 for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "meta": meta}, weights)
    evaluation = replace(trained, train=False, weights=weights)
    task.prepare(evaluation)
    for part in ("train", "val"):
        file = shapes / "annotations" / f"instances_{part}2017.json"
        content = json.loads(file.read_text())
        for category, name in zip(content["categories"], reversed(names), strict=True):
            category["name"] = name
        file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"triangle, but the data has triangle, .* be equal$"):
        task.prepare(replace(evaluation, data=str(shapes)))
    again = replace(trained, data=str(shapes), weights=weights, new_head=True)
    new = {"bbox_head.retina_cls.weight", "bbox_head.retina_cls.bias"}
    assert changed(task.prepare(again).model.network, state) == new  # though there are as many


def test_a_segmentor_of_other_classes_is_refused(tmp_path):
    task = get_task("segmentation")
    trained = short_job("segmentation", "semantic_fpn", tmp_path / "work")
    network = task.prepare(trained).model.network
    classes = tuple(reversed(SCENE_CLASSES))
    meta = Description("segmentation", "semantic_fpn", "resnet10t", classes=classes).to_meta()
    state = {name: value + 1 for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "meta": meta}, tmp_path / "weights.pth")
    evaluation = replace(trained, train=False, weights=tmp_path / "weights.pth")
    with pytest.raises(UserError, match="was trained for the classes"):
        task.prepare(evaluation)
    again = replace(evaluation, train=True, new_head=True)
    new = {"decode_head.conv_seg.weight", "decode_head.conv_seg.bias"}
    assert changed(task.prepare(again).model.network, state) == new


def changed(network, state):
    """The tensors that a network has otherwise than a file."""
    return {name for name, value in network.state_dict().items() if not value.equal(state[name])}


def test_weights_of_another_network_are_refused_by_name(job):
    outcome = run(job("schedule.epochs=1"), TASK)
    other = job(train=False, weights=outcome.checkpoint, work_dir=None, backbone="test_resnet")
    with pytest.raises(
        UserError,
        match=r"weights of classification/classifier/test_convnext, not of .*/test_resnet$",
    ):
        run(other, TASK)


@pytest.mark.parametrize(
    ("own", "given", "says"),
    [
        ({"gate_act": "gelu"}, {}, "give --option gate_act=gelu$"),
        ({}, {"attn_force_fp32": True}, "leave out --option attn_force_fp32=true$"),
        (
            {"split": (1, 2)},
            {"split": (1, 3)},
            r"give .* split=\[1,2\] and leave .* split=\[1,3\]$",
        ),
        # Those of training, and those that the paper's dense networks have for larger images.
        ({"drop_rate": 0.1, "num_classes": 9}, {"drop_path_rate": 0.2, "norm_eval": True}, ""),
        ({"img_size": 224}, {"reaches": (3, 3), "always_partition": True, "focal_windows": 9}, ""),
    ],
)
def test_no_training_begins_with_a_network_of_other_options(tmp_path, own, given, says):
    network = timm.create_model("moganet_xtiny")
    named = ("classification", "classifier", "moganet_xtiny")
    meta = Description(*named, options={**own, "num_classes": 9}, own_options=own).to_meta()
    torch.save({"state_dict": network.state_dict(), "meta": meta}, tmp_path / "w.pth")
    subject = Subject(
        task=named[0], method=named[1], backbone=named[2], input_size=(32, 32), options=given
    )
    refused = pytest.raises(UserError, match=f"moganet_xtiny with other options: {says}")
    with refused if says else nullcontext():
        load_into(network, tmp_path / "w.pth", subject, train=True)


def test_a_training_keeps_the_weights_that_it_starts_from(job, tmp_path):
    """mmengine's Runner calls ``init_weights``, which timm's ViT has: it would draw new ones."""
    given = job(backbone="test_vit")
    start = TASK.prepare(given).model.network.state_dict()
    file = tmp_path / "start.pth"
    torch.save(start, file)
    given = replace(given, weights=file)
    runner = make_runner(given, TASK.prepare(given))
    runner._init_model_weights()
    for name, value in runner.model.network.state_dict().items():
        assert torch.equal(value, start[name]), name

"""The commands as a user types them, each in a process of its own."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mogabench.cli.doctor import _data, _openstl, _packages, _results
from tests.forking import run_command

COMMAND = str(Path(sys.executable).with_name("mogabench"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


def mogabench(*arguments, **environment):
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "clasification", "-v", "b"], ["unknown task", "did you mean classification"]),
        (["run", "classification", "-v", "huge"], ["unknown variant 'huge'", "xl", "xlarge"]),
        (["run", "classification"], ["--variant", "--backbone"]),
        (["run", "video", "-v", "s"], ["unknown option of video '-v'"]),
        (["run", "video", "--data", "sample", "--train"], ["give --translator NAME"]),
        (["run", "classification", "-v", "b", "--backbone", "resnet50"], ["one of them"]),
        (["run", "classification", "--backbone", "resnet5"], ["did you mean", "resnet50"]),
        (["run", "classification", "-v", "b", "--size", "big"], ["--size big", "224x224"]),
        (
            ["run", "classification", "-v", "b", "--size", "9" * 20],
            ["999 is not a size such as 224x224"],
        ),
        (["run", "pose", "-v", "b", "--size", "3x4x5"], ["not a size of pose", "256x192"]),
        (
            ["run", "pose", "-v", "b", "--data", "x", "--recipe", "in1k_300e"],
            ["is for the task classification, not pose"],
        ),
        (["run", "classification", "-v", "b", "--method", "rcnn"], ["valid: classifier"]),
        (["run", "classification", "-v", "b", "--option", "gate"], ["NAME=VALUE"]),
        (["run", "classification", "-v", "b", "--train"], ["--train needs --data DIR"]),
        (["run", "pose", "-v", "b", "--boxes", "b.json"], ["--boxes needs --data DIR"]),
        (["run", "detection", "--boxes", "f"], ["--boxes is an option of pose, not of detection"]),
        (
            ["run", "detection", "-v", "b", "--boxes", "x.json"],
            ["--boxes is an option of pose, not of detection"],
        ),
        (
            ["run", "mesh", "--class-map", "f"],
            ["--class-map is an option of classification and segmentation, not of mesh"],
        ),
        (["run", "pose", "--bach-size", "2"], ["unknown option", "did you mean --batch-size"]),
        (["table", "A16"], ["unknown table 'A16'", "A15"]),
        (["table", "3", "--format", "pdf"], ["unknown format", "markdown"]),
        (["table", "3", "--add", "convnext_tinny"], ["did you mean", "convnext_tiny"]),
        (["table", "3", "--import", "no_such_package"], ["--import no_such_package"]),
        (["show", "in1k_30e"], ["recipe or record 'in1k_30e'", "in1k_300e"]),
        (["show", "in1k_300e", "--set", "optimizer.lrr=1"], ["optimizer.lrr", "optimizer.lr"]),
    ],
)
def test_errors_of_bad_input_are_one_line_and_nothing_is_written(arguments, says, tmp_path):
    done = run_command(*arguments, "--results", tmp_path / "results")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("mogabench: ") and "Traceback" not in done.stderr
    assert all(text in done.stderr for text in says), done.stderr
    assert not (tmp_path / "results").exists()


def test_the_error_of_records_that_cannot_be_written(tmp_path):
    (tmp_path / "results").write_text("a file, not a folder")
    done = mogabench("table", "A1", "--fresh", "--results", tmp_path / "results")
    assert done.returncode == 2 and "--results" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_table_a1_is_measured_matches_the_paper_and_is_then_remembered(results):
    cold = mogabench("table", "A1", "--fresh", "--format", "json", "--results", results)
    entries = json.loads(cold.stdout)
    # Four have another last digit: the parameters of XT, B and XL, and the operations of XL.
    others = [(e["paper"], round(e["measured"], 3)) for e in entries if e["status"] != "rounds"]
    assert others == [(2.97, 2.956), (43.8, 43.72), (180.8, 180.992), (34.5, 34.554)]
    assert {entry["status"] for entry in entries} == {"rounds", "within_tolerance"}
    parameters = {e["row"]: e["measured"] for e in entries if e["unit"] == "M"}
    assert parameters["MogaNet: Tiny"] == 5.197332
    assert parameters["MogaNet: XLarge"] == 180.991924
    records = (results / "records" / "complexity.jsonl").read_bytes()
    warm = mogabench("table", "A1", "--format", "json", "--results", results)
    assert warm.stdout == cold.stdout and warm.stderr == ""
    assert (results / "records" / "complexity.jsonl").read_bytes() == records


@pytest.mark.slow
def test_a_package_of_ones_own_stands_in_a_table(results, tmp_path):
    (tmp_path / "my_nets.py").write_text(
        "import timm\n"
        "from torch import nn\n"
        "@timm.models.register_model\n"
        "def my_net(pretrained=False, **options):\n"
        "    return nn.Sequential(nn.Conv2d(3, 10, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(),\n"
        "                         nn.Linear(10, options['num_classes']))\n"
    )
    arguments = ["table", "A1", "--import", "my_nets", "--add", "my_net", "--format", "json"]
    done = mogabench(*arguments, "--results", results, PYTHONPATH=str(tmp_path))
    own = [e for e in json.loads(done.stdout) if e["row"] == "my_net"]
    convolution, pooling, linear = 56 * 56 * 10 * (3 * 16 + 1), 56 * 56 * 10, 10 * 1000
    assert [entry["measured"] for entry in own] == [
        (3 * 16 * 10 + 10 + 10 * 1000 + 1000) / 1e6,
        (convolution + pooling + linear) / 1e9,
    ]
    assert mogabench("table", "A1", "--add", "my_net", "--results", results).returncode == 2


def test_help_and_a_table_from_records_import_no_torch(results):
    for arguments in (["--help"], ["table", "A1", "--results", str(results)], ["list", "models"]):
        heavy = {"torch", "timm", "matplotlib"}
        heavy |= {"mogabench.tables", "mogabench.tasks"} if arguments == ["--help"] else set()
        code = (
            "import sys; from mogabench.cli import main\n"
            f"sys.argv = ['mogabench', *{arguments}]\n"
            "try: main()\n"
            "except SystemExit as stop: assert not stop.code\n"
            f"assert not {heavy} & set(sys.modules), set(sys.modules)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_commands_are_there_where_the_system_has_no_affinity():
    """As on macOS."""
    code = (
        "import inspect, os; del os.sched_getaffinity; os.cpu_count = lambda: 7\n"
        "from mogabench.cli import run; from mogabench.cli.analyze import ablation\n"
        "print(inspect.signature(ablation).parameters['jobs'].default,"
        " inspect.signature(run.run).parameters['workers'].default)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "7 2\n", done.stderr


def test_show_resolves_a_variant_and_an_override():
    done = mogabench("show", "in1k_300e", "--variant", "xt", "--set", "schedule.epochs=2",
                     "--set", "schedule.warmup_epochs=1")  # fmt: skip
    assert "weight_decay: 0.03" in done.stdout and "epochs: 2\n" in done.stdout
    assert mogabench("show", "in1k_300e").stdout.startswith("# ImageNet-1K")


def test_listings():
    tables = json.loads(mogabench("list", "tables", "--format", "json").stdout)
    assert len(tables) == 22 and tables[-1]["rows"] == "51"
    assert "sample_digits" in mogabench("list", "recipes", "--format", "json").stdout
    models = {
        m["backbone"] for m in json.loads(mogabench("list", "models", "--format", "json").stdout)
    }
    assert {"moganet_xtiny", "convnext_tiny", "swin_1g", "slak_tiny"} <= models
    assert "resnet26" not in models  # timm has it, no table does
    lines = mogabench("list", "weights", "--task", "detection").stdout.splitlines()
    cascades = [line.split()[4:] for line in lines if "cascade_mask_rcnn  moganet_small" in line]
    assert cascades == [["head=plain"], []]


@pytest.mark.slow
def test_doctor_finds_this_machine_fit():
    done = mogabench("doctor", "--format", "json")
    found = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 0 and not found["torch"]["fatal"]
    assert found["timm"]["found"].count(".") >= 2


def test_doctor_names_packages_that_are_missing_or_do_not_fit(monkeypatch):
    wanted = ["timm>=99", "torch<1", "numpy>=1", "no-such-package>=2", "timm<0; extra == 'dev'"]
    monkeypatch.setattr("importlib.metadata.requires", lambda _: wanted)
    found = [(one.what, one.fix, one.fatal) for one in _packages()][1:]
    assert found == [
        ("timm", "does not fit: pip install 'timm>=99'", True),
        ("torch", "does not fit: pip install 'torch<1'", True),
        ("numpy", "", False),
        ("no-such-package", "pip install 'no-such-package>=2'", True),
    ]


@pytest.mark.parametrize(("content", "fix"), [("methods", False), ("mesh", True), (None, False)])
def test_doctor_tells_openstl_from_a_reader_of_meshes(tmp_path, monkeypatch, content, fix):
    if content is not None:
        (tmp_path / "openstl" / content).mkdir(parents=True)
        (tmp_path / "openstl" / "__init__.py").write_text(
            "" if content == "methods" else "raise SystemExit('it was run')"
        )
        for name, text in {
            "core/metrics": "metric = 1",
            "models/simvp_model": "SimVP_Model = 1",
        }.items():
            module = tmp_path / "openstl" / f"{name}.py"
            module.parent.mkdir()
            module.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    finding = _openstl()
    assert bool(finding.fix) == fix and not finding.fatal
    assert ("PyPI's openstl is a reader of STL meshes" in " ".join(finding[1:3])) == (
        content != "methods"
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == "openstl"]:
        del sys.modules[name]


def test_doctor_says_why_openstl_does_not_import(tmp_path, monkeypatch):
    for name in ("methods/__init__", "core/metrics", "models/simvp_model"):
        module = tmp_path / "openstl" / f"{name}.py"
        module.parent.mkdir(parents=True)
        module.write_text("import math as metric\n")
    (tmp_path / "openstl" / "__init__.py").write_text("import no_such_lightning\n")
    monkeypatch.syspath_prepend(tmp_path)
    finding = _openstl()
    assert finding.found == "the video-prediction library, which does not import"
    assert finding.fix.endswith("ModuleNotFoundError: No module named 'no_such_lightning'")
    assert not finding.fatal


def test_doctor_says_what_data_lacks(monkeypatch):
    there = {"tensorflow_datasets", "webdataset"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in there else None)
    sample, *streams = _data()
    assert "missing for classification and video" in sample.found and sample.fix
    assert [one.fix for one in streams] == [
        "pip install datasets",
        "pip install tensorflow",  # timm's reader imports it before tensorflow_datasets
        "",
    ]


def test_doctor_names_a_record_that_cannot_be_read(tmp_path):
    (tmp_path / "records").mkdir()
    file = tmp_path / "records" / "quality.jsonl"
    file.write_text('{"broken": 1}\n')
    records, problem = _results(tmp_path)
    assert "none yet" in records.found and not records.fix
    assert problem.found.startswith(f"{file}:1 ") and problem.fix and not problem.fatal


def test_models_of_a_task_are_listed_with_their_counts(tmp_path):
    listed = mogabench(
        "list",
        "models",
        "moganet_*",
        "--task",
        "detection",
        "--results",
        tmp_path,
        "--format",
        "json",
    )
    rows = json.loads(listed.stdout)
    # Tables 4 and A8 to A10: RetinaNet and Mask R-CNN from XT to L, the cascade from S to XL.
    methods = Counter(row["method"] for row in rows)
    assert methods == {"retinanet": 5, "mask_rcnn": 5, "cascade_mask_rcnn": 4}
    small = next(r for r in rows if (r["backbone"], r["method"]) == ("moganet_small", "retinanet"))
    assert (small["size"], small["tables"], small["param. (M)"]) == (
        "800x1280",
        "4, A8",
        "35.07",
    )

"""``import mogabench`` as a library."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from pydantic import Field, create_model
from safetensors import safe_open
from torch import nn

import mogabench
from mogabench import catalogue
from mogabench.checkpoints import Description
from mogabench.engine.run import run
from mogabench.engine.task import TaskOptions
from mogabench.errors import UserError
from mogabench.measure.settings import Settings
from mogabench.measure.sweep import _ignore_interrupts
from mogabench.records import Kind
from mogabench.runtimes import export
from mogabench.tasks import get_task, make_subject, tasks
from mogabench.tasks.classification import TASK


def test_count_of_a_name_is_that_of_the_module():
    by_name = mogabench.count("resnet18", input_size=(64, 64))
    with torch.device("meta"):
        module = timm.create_model("resnet18")
        by_module = mogabench.count(module, torch.empty(1, 3, 64, 64))
    assert by_name.parameters == by_module.parameters == 11_689_512  # torchvision's ResNet-18
    assert by_name.operations == by_module.operations


@pytest.mark.parametrize("read", [lambda rates: rates[0].item(), torch.Tensor.numpy])
def test_a_network_that_reads_numbers_as_it_is_built_is_counted(read, monkeypatch):
    """Such as rates of ``torch.linspace``, which have none on the meta device."""

    def create(name, num_classes, drop_path_rate=0.1):
        read(torch.linspace(0, drop_path_rate, 3))
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, num_classes))

    monkeypatch.setattr(timm, "create_model", create)
    assert mogabench.count("resnet18", options={"num_classes": 7}).parameters == 3 * 7 + 7


def test_a_network_in_training_goes_on_in_training(tmp_path):
    """With a frozen norm in it, which stays in evaluation mode."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.BatchNorm2d(8)).train()
    network[2].eval()
    image = torch.zeros(1, 3, 32, 32)
    mogabench.count(network, image)
    export(network, image, tmp_path / "network.pt2", "pt2")
    assert [module.training for module in network.modules()] == [True, True, True, False]


def test_a_network_that_a_program_registers_is_known_here_and_nowhere_else(tmp_path):
    """With the names remembered in the cache, and without."""
    program = """
import timm, mogabench
@timm.models.register_model
def my_net(pretrained=False, **options):
    return timm.create_model("resnet18", **options)
print(mogabench.count("my_net").parameters)
"""
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"MOGABENCH_CACHE": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["11689512"]
        [remembered] = tmp_path.glob("backbones-*.json")
        assert "my_net" not in json.loads(remembered.read_text())


@pytest.mark.parametrize("spoil", [lambda file: file.mkdir(), lambda file: file.write_text("[")])
def test_names_that_cannot_be_read_from_the_cache_are_asked_again(spoil, tmp_path, monkeypatch):
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path))
    spoil(tmp_path / f"backbones-{catalogue._fingerprint()}.json")
    assert {"resnet18", "moganet_tiny"} < catalogue.backbones.__wrapped__()


@pytest.mark.slow
def test_what_was_imported_is_known_where_it_is_timed_and_counted(tmp_path, monkeypatch):
    file = tmp_path / "imported_net.py"
    file.write_text("""
from timm.models import register_model
from timm import create_model
@register_model
def imported_net(pretrained=False, **options):
    return create_model("test_resnet", **options)
""")
    monkeypatch.chdir(tmp_path)
    catalogue.import_packages(file)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    quick = Settings(batch_size=1, warmup_seconds=0, min_seconds=0, max_seconds=1)
    record = mogabench.profile("imported_net", input_size=(64, 64), settings=quick)
    assert record.values["throughput"].value > 0
    own = mogabench.Added("imported_net", input_size=(64, 64))
    (row,) = [r for r in mogabench.table("2", add=[own], results=tmp_path).rows if r.added]
    assert row.cells[4].measured == pytest.approx(mogabench.count("imported_net").parameters / 1e6)


@pytest.mark.slow
def test_a_plain_script_counts_in_several_processes(tmp_path):
    """Without ``if __name__ == "__main__"``, as README has it."""
    (tmp_path / "script.py").write_text("""
import os
import mogabench
os.cpu_count = lambda: 2
print(len(mogabench.table("A5", fresh=True, results="own").rows))
""")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "8\n"), done.stderr


def test_a_thread_counts_and_leaves_the_signals_alone():
    """Python sets them in the main thread alone."""

    def see():
        with _ignore_interrupts():
            return signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(see).result() is signal.getsignal(signal.SIGINT)
    assert see() is signal.SIG_IGN


def test_count_of_a_detector_and_of_options():
    detector = mogabench.count("xt", task="detection", method="mask_rcnn")
    assert round(detector.parameters / 1e6, 1) == 22.8  # Table 4; by RetinaNet 12.1
    narrow = mogabench.count("xt", options={"num_classes": 10})
    # Table A1: 64 * 3 = 192 channels come to the classifier.
    assert mogabench.count("xt").parameters - narrow.parameters == 990 * (192 + 1)


@pytest.mark.slow
def test_a_table_with_a_network_of_ones_own(tmp_path):
    joined = mogabench.table("A5", results=tmp_path)
    assert [round(row.cells[2].measured, 3) for row in joined.rows][-1] == 5.174
    own = mogabench.Added("resnet18", input_size=(64, 64))
    (row,) = [r for r in mogabench.table("2", add=[own], results=tmp_path).rows if r.added]
    assert row.cells[4].measured == pytest.approx(11.689512)  # torchvision's ResNet-18
    convnext = mogabench.table("1", paper="convnext", results=tmp_path)
    assert convnext.rows[0].row.label == "ConvNeXt-T"


@pytest.mark.slow
def test_trained_weights_are_loaded_and_exported(tmp_path, job, monkeypatch):
    outcome = run(job("schedule.epochs=1"), TASK)
    predictor = mogabench.load(outcome.checkpoint)
    red = np.full((40, 36, 3), (210, 50, 40), np.uint8)
    one, other = predictor.predict([red, Image.fromarray(red)])
    assert one.classes == other.classes and set(one.classes) == {"blue", "green", "red"}
    assert one.probabilities == other.probabilities
    assert sum(one.probabilities) == pytest.approx(1, abs=1e-5)
    twin = outcome.checkpoint.with_suffix(".safetensors")
    assert Description.of(twin) == Description.of(outcome.checkpoint)
    assert mogabench.load(twin).predict(red).probabilities == one.probabilities
    larger = mogabench.load(twin, input_size=(48, 48))
    assert larger.job.subject.input_size == larger.job.recipe.size == (48, 48)
    with safe_open(twin, "pt") as file:  # by the library alone
        assert json.loads(file.metadata()["mogabench"])["classes"] == ["blue", "green", "red"]
    written = mogabench.export(outcome.checkpoint, tmp_path / "net.onnx", to="onnx")
    assert written.file.exists() and written.error < 1e-4 and written.input_size == (32, 32)
    with pytest.raises(UserError, match="did you mean onnx"):
        mogabench.export(outcome.checkpoint, to="onx")
    monkeypatch.delattr("mogabench.runtimes.exporting.fuse")
    assert mogabench.export(outcome.checkpoint, tmp_path / "net.pt2", fused=False).file.exists()


@pytest.mark.parametrize(
    ("task", "network", "options", "mean"),
    [
        ("classification", "resnet10t", {"in_chans": 1}, [0.449]),  # of .485, .456 and .406
        # Its own is 0.5; persons and hands are prepared without asking it.
        ("pose", "test_convnext", {}, [0.485, 0.456, 0.406]),
        ("mesh", "test_convnext", {}, [0.485, 0.456, 0.406]),
        ("video", "moganet", {"hidden_dim": 16, "encoder_dim": 8, "depth": 2}, [0.0]),
    ],
)
@pytest.mark.usefixtures("unwritten")
def test_an_exported_file_says_how_an_evaluation_normalises(tmp_path, task, network, options, mean):
    bare = get_task(task).build(make_subject(get_task(task), network, options=options))
    torch.save(bare.state_dict(), tmp_path / "bare.pth")
    how = {"to": "pt2", "task": task, "network": network, "options": options}
    assert mogabench.export(tmp_path / "bare.pth", **how)["mean"] == pytest.approx(mean)


@pytest.fixture
def unwritten(monkeypatch):
    """Exports nothing: gives the description that the file would carry."""
    monkeypatch.setattr("mogabench.runtimes.export", lambda *_, description, **__: description)


def test_wrong_names_and_inputs():
    with pytest.raises(UserError, match="did you mean resnet18"):
        mogabench.count("resnet_18")
    with pytest.raises(UserError, match="not a size of classification, such as 224x224"):
        mogabench.count("s", input_size=(3, 224, 224))
    with pytest.raises(UserError, match="gives one table: name it, such as 3 or A5"):
        mogabench.table("all")
    with pytest.raises(TypeError, match="give the inputs"):
        mogabench.count(torch.nn.Identity())
    with pytest.raises(TypeError, match="give a name or a module, not 3"):
        mogabench.count(3)
    with pytest.raises(TypeError, match="not a Identity: register your own with timm"):
        mogabench.profile(torch.nn.Identity())
    with pytest.raises(AttributeError, match="no attribute 'counts'"):
        mogabench.counts  # noqa: B018


@pytest.mark.parametrize("size", [9, (9,), "9x9", (9.5, 9), (-1, 9), (2**20, 9), (9, 9, 9), ()])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(UserError, match=r"is not a size of classification, such as 224x224$"):
        mogabench.count("resnet18", input_size=size)


def test_a_size_may_be_of_numpy():
    pixels = np.array([64, 64])
    assert mogabench.count("resnet18", input_size=pixels).operations == (
        mogabench.count("resnet18", input_size=(64, 64)).operations
    )


@pytest.mark.parametrize("value", [None, torch.nn.GELU, ["a"], float("nan"), {"a": 1}])
def test_an_option_that_no_record_can_hold_is_refused(value):
    with pytest.raises(UserError, match=r"^option act_layer: .* is not a text, a finite number"):
        mogabench.count("resnet18", options={"act_layer": value})


def test_a_table_is_named_by_its_number():
    assert mogabench.table(1).paper == mogabench.table("1").paper


@pytest.mark.slow
def test_profile_gives_a_record():
    settings = mogabench.Settings(batch_size=2, warmup_seconds=0, min_seconds=0.1, max_seconds=0.2)
    record = mogabench.profile("resnet10t", input_size=(32, 32), settings=settings)
    assert record.kind == Kind.THROUGHPUT and record.provenance.batch_size == 2
    assert record.subject.key == "classification/classifier/resnet10t@32x32"
    values = record.values
    assert values["throughput"].value == pytest.approx(2000 / values["latency_p50"].value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"train_step": True, "runtime": "openvino"}, "openvino does not train"),
        ({"device": "cuda", "runtime": "onnxruntime"}, "onnxruntime runs on the CPU"),
        ({"channels_last": True, "runtime": "onnxruntime"}, "onnxruntime has no .*channels-last"),
    ],
)
def test_a_profile_is_of_what_its_record_says(settings, says):
    with pytest.raises(UserError, match=says):
        mogabench.profile("resnet10t", input_size=(32, 32), settings=mogabench.Settings(**settings))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dtype": "bf16"}, "unknown dtype 'bf16'; did you mean bfloat16"),
        ({"device": "auto"}, r"unknown device 'auto' \(valid: cpu, cuda\)"),
        ({"batch_size": 0}, "batch_size 0: give a whole number from 1 on"),
        ({"batch_size": 2.5}, "batch_size 2.5: give a whole number"),
        ({"threads": -1}, "threads -1: give a whole number from 1 on"),
        ({"warmup_seconds": float("nan")}, "warmup_seconds nan: give a number from 0 on"),
        ({"min_seconds": "5"}, "min_seconds '5': give a number"),
        ({"max_seconds": 3}, "--max-seconds 3 is less than --min-seconds 5: give more"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_measured(settings, says):
    with pytest.raises(UserError, match=says):
        mogabench.Settings(**settings)


def test_a_task_is_registered_once(monkeypatch):
    monkeypatch.setattr("mogabench.tasks._registered", [])
    from tests.tasks import toy

    mogabench.register_task(toy.TASK)
    mogabench.register_task(toy.TASK)
    assert tasks()["toy"] is toy.TASK
    with pytest.raises(UserError, match="already a task called 'toy'"):
        mogabench.register_task(toy.Toy())


def test_a_constant_called_as_a_task_is_said_to_be_none(tmp_path):
    (tmp_path / "file_with_constant.py").write_text("TASK = 'classification'")
    catalogue.import_packages(str(tmp_path / "file_with_constant.py"))
    with pytest.raises(UserError, match="TASK of file_with_constant is a str, not an instance of"):
        tasks()


@pytest.mark.parametrize("name", ["size", "format", "no_ema"])
def test_an_option_of_a_task_that_all_tasks_have_is_refused(name, monkeypatch):
    from mogabench.cli.task_commands import make_command
    from tests.tasks import toy

    own = create_model("Own", __base__=TaskOptions, **{name: (bool, False)})
    monkeypatch.setattr(toy.Toy, "Options", own)
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(UserError, match=f"the task toy has an option {flag}, which all tasks have"):
        make_command(toy.TASK)


def test_an_option_of_a_task_may_be_required_or_have_a_default_that_is_made(monkeypatch):
    from mogabench.cli.task_commands import make_command
    from tests.tasks import toy

    fields = {"needed": (int, ...), "made": (int, Field(default_factory=lambda: 7))}
    monkeypatch.setattr(toy.Toy, "Options", create_model("Own", __base__=TaskOptions, **fields))
    options = {option.name: option for option in make_command(toy.TASK).params}
    assert options["needed"].required and not options["made"].required
    assert options["made"].default == 7


def test_every_public_name_is_there_and_importing_is_light():
    assert all(getattr(mogabench, name) for name in mogabench.__all__)
    code = "import mogabench, sys; dir(mogabench); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

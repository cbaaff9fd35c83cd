"""The child process: what it answers, and what the parent says when it cannot."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mogabench.errors import UserError
from mogabench.measure import child
from mogabench.measure.settings import Rates, Settings
from mogabench.measure.worker import Contestant, Request, measure_in_subprocess
from mogabench.records import Kind
from mogabench.subject import Subject
from mogabench.tasks import get_task, make_subject

TOYS = """
import os, signal, time
import torch
from timm.models import register_model
from torch import nn

print("a library that chatters")
os.system("echo so does its child")


class Toy(nn.Module):
    def __init__(self, act, **options):
        super().__init__()
        self.num_classes = 10
        self.head = nn.Linear(3, 10)
        self.act = act

    def forward(self, x):
        self.act()
        return self.head(x.mean((2, 3)))


def fail():
    raise ValueError("no such luck\\nand more lines")


@register_model
def toy_talks(pretrained=False, **options):
    return Toy(lambda: print("and in every pass"))


@register_model
def toy_is_killed(pretrained=False, **options):
    return Toy(lambda: os.kill(os.getpid(), signal.SIGKILL))


@register_model
def toy_waits(pretrained=False, **options):
    def wait():
        with open("writing", "w") as file:
            file.write(str(os.getpid()))
        os.rename("writing", "child")
        time.sleep(120)

    return Toy(wait)


@register_model
def toy_fails(pretrained=False, **options):
    return Toy(fail)
"""
SETTINGS = Settings(
    dtype="bfloat16",
    batch_size=3,
    warmup_seconds=0,
    min_iterations=4,
    min_seconds=0,
    max_seconds=0,
    threads=2,  # where OMP_NUM_THREADS says 1
    seed=5,
)


@pytest.fixture
def request_for(tmp_path, monkeypatch):
    (tmp_path / "mogabench_toys.py").write_text(TOYS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(name, settings=SETTINGS, **options):
        subject = Subject(
            task="classification",
            method="classifier",
            backbone=name,
            input_size=(32, 32),
            options=options,
        )
        return Request(subject=subject, settings=settings, packages=("mogabench_toys",))

    return make


@pytest.mark.slow
def test_record_says_what_was_measured_and_how(request_for):
    request = request_for("toy_talks")
    record = measure_in_subprocess(request)
    assert (record.subject, record.kind) == (request.subject, Kind.THROUGHPUT)
    values = {name: quantity.value for name, quantity in record.values.items()}
    assert values["throughput"] == pytest.approx(3000 / values["latency_p50"])
    assert values["iterations"] == 4
    units = {name: quantity.unit for name, quantity in record.values.items()}
    assert units["throughput"] == "img/s"
    assert (units["latency_p50"], units["lacked_core"]) == ("ms", "%")
    assert not values.keys() & {"compile_seconds", "latency_p90", "latency_p99", "spread"}
    assert "the median of 4 passes may be off by any amount" in record.notes
    if sys.platform == "linux":
        assert values["peak_memory"] < 16 * 2**20, "libraries are no part of a tiny network"
    how = record.provenance
    assert (how.dtype, how.batch_size, how.threads, how.seed) == ("bfloat16", 3, 2, 5)
    assert not how.compiled and not how.channels_last
    assert how.busy == (values["lacked_core"] > 5 or abs(values["rate_change"]) > 10)
    # A product of 3 and 10 numbers for each of 3 images; images, scores, weights and biases.
    moved = 2 * (3 * (3 * 32 * 32 + 10) + 40) / values["copy_rate"]
    assert values["floor"] == pytest.approx(1000 * max(180 / values["matrix_rate"], moved))
    assert (units["matrix_rate"], units["copy_rate"]) == ("FLOP/s", "B/s")
    assert how.seconds > values["seconds"]
    assert how.packages["torch"] and how.device and how.command


@pytest.mark.slow
@pytest.mark.skipif(os.cpu_count() == 1, reason="PyTorch takes no more threads than processors")
def test_a_runtime_that_takes_fewer_threads_than_recorded_is_refused(request_for, monkeypatch):
    """PyTorch takes what OMP_NUM_THREADS says; OpenVINO never more than the cores it may use."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    settings = replace(SETTINGS, dtype="float32", runtime="openvino", threads=None)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # which the child inherits
    try:
        with pytest.raises(UserError, match="at most 1 threads here, not on 2; --threads 1 works"):
            measure_in_subprocess(request_for("test_resnet", settings))
        few = measure_in_subprocess(request_for("test_resnet", replace(settings, threads=1)))
    finally:
        os.sched_setaffinity(0, cores)
    assert few.provenance.threads == 1


@pytest.mark.slow
def test_record_of_a_training_step_is_of_its_own_kind(request_for):
    settings = replace(SETTINGS, train_step=True, channels_last=True)
    request = request_for("toy_talks", settings, num_classes=10)
    record = measure_in_subprocess(request)
    assert request.name == "toy_talks bfloat16 autocast eager channels-last training step"
    assert record.kind is Kind.TRAIN_STEP
    values = {name: quantity.value for name, quantity in record.values.items()}
    # Three products as large as the one of the forward pass; weights and two averages of float32.
    moved = 4 * (3 * (3 * 32 * 32 + 10) + 6 * 40) / values["copy_rate"]
    floor = max(3 * 180 / values["matrix_rate"], moved)
    assert values["floor"] == pytest.approx(1000 * floor)
    assert "peak_memory" in values or sys.platform != "linux"
    how = record.provenance
    assert (how.dtype, how.amp, how.optimizer) == ("float32", "bfloat16", "adamw")
    assert (how.channels_last, how.batch_size, how.threads) == (True, 3, 2)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux restarts the peak")
def test_memory_of_a_runtime_is_without_that_of_the_export(request_for):
    pytest.importorskip("onnxruntime", reason="needs pip install -e '.[runtimes]'")
    settings = replace(SETTINGS, dtype="float32", runtime="onnxruntime")
    record = measure_in_subprocess(request_for("test_resnet", settings))
    assert (record.provenance.runtime, record.provenance.threads) == ("onnxruntime", 2)
    # The runtime itself takes 74 MiB; an export in the same process left 123 MiB more.
    assert record.values["peak_memory"].value < 110 * 2**20


@pytest.mark.slow
def test_floor_and_code_of_a_runtime_are_those_of_the_fused_network():
    pytest.importorskip("onnxruntime", reason="needs pip install -e '.[runtimes]'")
    subject = make_subject(get_task("classification"), "mobileone_s0")
    settings = replace(SETTINGS, dtype="float32", runtime="onnxruntime")
    record = measure_in_subprocess(Request(subject=subject, settings=settings))
    values = {name: quantity.value for name, quantity in record.values.items()}
    macs = values["floor"] / 1000 * values["matrix_rate"] / 2 / 3  # of one image
    # Its paper (arXiv:2206.04040) says 275 M; as it is trained it has four times as many.
    assert macs == pytest.approx(275e6, rel=0.01)
    # The network is timm's; these make a graph of it and run that.
    modules = ("layers.fusion", "runtimes.exporting", "runtimes.runtime", "runtimes.tracing")
    assert {f"mogabench.{module}" for module in modules} <= record.provenance.code.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "line"),
    [
        ("toy_is_killed", "toy_is_killed: its process was killed, probably for lack of memory"),
        ("toy_fails", r"toy_fails: ValueError: no such luck \(.*mogabench_toys.py:\d+\)$"),
    ],
)
def test_child_that_dies_is_reported_in_one_line(request_for, backbone, line):
    with pytest.raises(UserError, match=line) as caught:
        measure_in_subprocess(request_for(backbone))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_contestant_times_a_round_at_each_turn(request_for):
    with Contestant(request_for("toy_talks")) as contestant:
        rounds = [contestant.get_ready(), contestant.take_turn(), contestant.take_turn()]
    assert {(found.batch_size, found.passes > 0) for found in rounds} == {(3, True)}
    assert all(found.latency > 0 for found in rounds)
    assert rounds[1].passes == rounds[2].passes and rounds[1] != rounds[2]


@pytest.mark.slow
def test_contestant_that_dies_is_reported_in_one_line(request_for):
    line = "toy_is_killed: its process was killed"
    with Contestant(request_for("toy_is_killed")) as child, pytest.raises(UserError, match=line):
        child.get_ready()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_child_ends_with_its_parent(request_for, tmp_path):
    script = (
        "import sys; from mogabench.measure.worker import Request, measure_in_subprocess\n"
        "measure_in_subprocess(Request.model_validate_json(sys.argv[1]))"
    )
    asked = request_for("toy_waits").model_dump_json()
    parent = subprocess.Popen([sys.executable, "-P", "-c", script, asked], cwd=tmp_path)
    try:
        wait_until((tmp_path / "child").exists, seconds=300)
    finally:
        parent.kill()
        parent.wait()
    child = Path("/proc") / (tmp_path / "child").read_text()
    wait_until(lambda: not child.exists(), seconds=60)


def wait_until(is_so, *, seconds):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_rates_before_and_after_are_by_the_same_algorithms(monkeypatch):
    """cuDNN is to search for the fastest ones from the first on."""
    subject = make_subject(get_task("classification"), "test_resnet", input_size=(32, 32))
    settings, flags = replace(SETTINGS, dtype="float32", threads=None), []
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)

    def measure_rates(*_):
        flags.append(torch.backends.cudnn.benchmark)
        return Rates(1.0, 1.0)

    monkeypatch.setattr(child, "measure_rates", measure_rates)
    monkeypatch.setattr(child, "choose_side", lambda *_: 1)
    list(child._answers(Request(subject=subject, settings=settings)))
    assert flags == [True, True]

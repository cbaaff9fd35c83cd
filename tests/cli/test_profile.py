"""The command's sweep, its output and its refusals; only the tests marked slow start children."""

import csv
import io
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from mogabench.cli import subjects
from mogabench.cli.profile import profile
from mogabench.errors import UserError
from mogabench.measure import comparing, profiling, reference, worker
from mogabench.measure.comparing import Comparison
from mogabench.measure.settings import Settings
from mogabench.paper import get_paper, paper_figures
from mogabench.records import Kind, Quantity, Record, Store, provenance
from mogabench.records.provenance import cpu_name
from mogabench.tables.beside import read_source
from mogabench.tasks import get_task, make_subject

app = typer.Typer()
app.command()(profile)


@pytest.fixture
def measured(monkeypatch):
    """Requests in the order they came; their answers are made up.

    densenet121 always dies, and vgg16 is slow.
    """
    requests = []

    def measure_in_subprocess(request):
        requests.append(request)
        if request.subject.backbone == "densenet121":
            raise worker.MeasurementError("densenet121: its process was killed")
        speed = 0.0217 if request.subject.backbone == "vgg16" else 1234.56
        values = {"throughput": speed, "latency_p50": 6.48, "latency_p90": 7.01}
        values |= {"latency_p99": 9.87, "median_error": 0.51, "peak_memory": 512 * 2**20}
        values |= {"iterations": 64, "lacked_core": 31.0, "floor": 3.11}
        return Record(
            subject=request.subject,
            kind=request.kind,
            values={name: Quantity(value=value, unit="1") for name, value in values.items()},
            provenance=provenance(
                device=cpu_name(),
                code={},
                dtype=request.settings.weights_dtype,
                amp=request.settings.amp,
                compiled=request.settings.compile,
                channels_last=request.settings.channels_last,
                runtime=None if request.settings.runtime == "torch" else request.settings.runtime,
                batch_size=8
                if request.settings.batch_size == "auto"
                else request.settings.batch_size,
                threads=request.settings.threads or torch.get_num_threads(),
                load=2.5,
                busy=request.subject.backbone == "resnet152",
            ),
        )

    monkeypatch.setattr(profiling, "measure_in_subprocess", measure_in_subprocess)
    return requests


@pytest.fixture
def invoke(tmp_path):
    def run(*arguments):
        return CliRunner().invoke(app, [*arguments, "--results", str(tmp_path)])

    return run


def test_what_a_paper_times_is_timed_as_its_rows_say(invoke, measured):
    cases = (
        ("since_2024", "classification", "classifier", 92),
        ("since_2024", "detection", "mask_rcnn", 80),
        ("openstl", "video", "simvp", 13),
    )
    for paper, task, method, count in cases:
        measured.clear()
        assert invoke("--paper", paper, "--task", task, "-q").exit_code == 0, paper
        subjects = [request.subject for request in measured]
        assert (len(subjects), len(set(subjects))) == (count, count)
        assert {(one.task, one.method) for one in subjects} == {(task, method)}
        sizes = {one.backbone: one.input_size for one in subjects}
        if task == "classification":
            assert sizes["mobilenetv4_conv_large"] == (384, 384)
            assert sizes["moganet_tiny"] == (224, 224)
    measured.clear()
    assert invoke("--paper", "openstl", "--task", "video", "--size", "10x1x32x32").exit_code == 0
    assert {request.subject.input_size for request in measured} == {(10, 1, 32, 32)}


def test_a_paper_is_for_networks_that_are_not_named(invoke, measured):
    for arguments, says in (
        (("resnet50", "--paper", "convnext"), "leave it out, or the networks' names"),
        (("--paper", "convnext"), "ConvNeXt times no network of classification: name some"),
        (("--paper", "convnxt"), "unknown paper 'convnxt'; did you mean convnext"),
    ):
        done = invoke(*arguments)
        assert isinstance(done.exception, UserError) and says in str(done.exception)
    assert measured == []


def test_sweeps_every_dtype_eager_and_compiled(invoke, measured):
    sweep = ("--dtype", "float32", "--dtype", "bfloat16", "--eager", "--compile")
    done = invoke("resnet50", "xt", *sweep, "--size", "192", "--batch-size", "16")
    assert done.exit_code == 0, done.output
    assert [r.subject.backbone for r in measured] == ["resnet50"] * 4 + ["moganet_xtiny"] * 4
    set_ups = [(r.settings.dtype, r.settings.compile) for r in measured[:4]]
    assert set_ups == [(d, c) for d in ("float32", "bfloat16") for c in (False, True)]
    assert {(r.subject.input_size, r.settings.batch_size) for r in measured} == {((192, 192), 16)}


def test_each_option_reaches_the_settings(invoke, measured, monkeypatch):
    monkeypatch.setattr("mogabench.machine.find_gpu_fault", lambda: "")
    seconds = "--min-seconds 1.5 --max-seconds 2.5 --warmup-seconds 0.5 --min-iterations 7"
    how = "--gpu --dtype float16 --channels-last --compile --threads 3 --batch-size 4"
    for words in (f"{seconds} {how}", "--runtime openvino"):
        assert invoke("resnet18", *words.split()).exit_code == 0
    assert [request.settings for request in measured] == [
        Settings(
            device="cuda",
            dtype="float16",
            channels_last=True,
            compile=True,
            batch_size=4,
            warmup_seconds=0.5,
            min_iterations=7,
            min_seconds=1.5,
            max_seconds=2.5,
            threads=3,
        ),
        Settings(runtime="openvino"),
    ]


def test_default_company_is_figure_a3s_eager_in_fp32(invoke, measured):
    assert invoke().exit_code == 0
    assert len(measured) == len(paper_figures(get_paper())["A3"].networks) == 15
    assert measured[0].subject.backbone == "moganet_xtiny"
    assert {(r.settings.dtype, r.settings.compile) for r in measured} == {("float32", False)}


def test_prints_name_and_figures_in_80_columns(invoke, measured):
    done = invoke("resnet50", "swin_tiny_patch4_window7_224", "--channels-last", "--compile")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    row = lines.index("resnet50, float32 compiled channels-last") + 1
    # 64 passes are enough for a 90th percentile, and not for a 99th; 3.11 ms are 0.48 of 6.48 ms.
    assert lines[row].split() == ["8", "1234.6", "0.5", "6.48", "7.01", "—", "512", "0.48"]
    assert lines[0].split("  ")[-1].strip() == "of floor"


def test_a_slow_network_is_not_printed_as_0(invoke, measured, caplog):
    caplog.set_level("INFO", "mogabench")
    done = invoke("vgg16")
    assert done.stdout.splitlines()[2].split()[1] == "0.0217"
    assert ": 0.0217 1 (ETA" in caplog.text


def test_compare_prints_the_ratio_with_its_interval_and_a_verdict(invoke, measured, monkeypatch):
    def compare(requests):
        names = [request.name for request in requests]
        return [Comparison(names[1], names[0], 1.0534, 1.0412, 1.0661, 14)]

    monkeypatch.setattr(comparing, "compare", compare)
    done = invoke("resnet18", "resnet34", "--compare", "--dtype", "bfloat16")
    assert done.stdout.splitlines() == [
        "speed beside resnet18 bfloat16 eager, with its 95 % interval",
        "resnet34 bfloat16 eager",
        "  1.053 x (1.041 … 1.066) in 14 rounds: faster",
    ]
    [found] = json.loads(invoke("resnet18", "resnet34", "--compare", "--format", "json").stdout)
    assert (found["ratio"], found["verdict"]) == (1.0534, "faster")
    assert measured == []


def test_csv_has_timms_columns_and_its_counts(invoke, measured):
    done = invoke("deit_small_patch16_224", "--format", "csv")
    # The counts are those of results/benchmark-infer-amp-nchw-pt291-cu128-4090.csv of timm.
    assert done.stdout.splitlines() == [
        "model,infer_img_size,infer_samples_per_sec,infer_step_time,infer_batch_size,"
        "param_count,infer_gmacs,infer_macts",
        "deit_small_patch16_224,224,1234.56,6.48,8,22.05,4.61,11.95",
    ]


def test_csv_of_a_runtime_has_the_counts_of_the_fused_network(invoke, measured):
    done = invoke("mobileone_s0", "--runtime", "openvino", "--format", "csv")
    [row] = csv.DictReader(io.StringIO(done.stdout))
    # Table 1 of its paper (arXiv:2206.04040): 2.1 M and 275 M; as it is trained, 5.3 M and 1100 M.
    assert float(row["param_count"]) == pytest.approx(2.1, abs=0.05)
    assert float(row["infer_gmacs"]) == pytest.approx(0.275, abs=0.01)


@pytest.mark.parametrize("mode", [(), ("--train-step",)])
def test_csv_that_was_written_can_be_shown_beside_a_table(invoke, measured, tmp_path, mode):
    written = invoke("deit_small_patch16_224", *mode, "--format", "csv").stdout
    (tmp_path / "mine.csv").write_text(written)
    source = read_source("mine", tmp_path / "mine.csv")
    figures = ("1234.56",) if mode else ("1234.56", "4.61", "11.95")
    assert source.figures == {("deit_small_patch16_224", (224, 224)): {"": figures}}


def test_csv_of_training_has_timms_columns(invoke, measured):
    done = invoke("deit_small_patch16_224", "--train-step", "--format", "csv")
    # The head and the count are those of results/benchmark-train-amp-nhwc-pt112-cu113-rtx3090.csv.
    assert done.stdout.splitlines() == [
        "model,train_samples_per_sec,train_step_time,train_batch_size,train_img_size,param_count",
        "deit_small_patch16_224,1234.56,6.48,8,224,22.05",
    ]


def test_training_steps_are_apart_from_inference(invoke, measured, tmp_path):
    arguments = ("resnet18", "--dtype", "bfloat16", "--skip-existing")
    assert invoke(*arguments).exit_code == 0
    done = invoke(*arguments, "--train-step")
    assert "resnet18, bfloat16 autocast eager training step\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    invoke(*arguments, "--train-step")
    assert [r.settings.train_step for r in measured] == [False, True]
    store = Store(tmp_path)
    assert [len(list(store.all(kind))) for kind in (Kind.THROUGHPUT, Kind.TRAIN_STEP)] == [1, 1]


def replace_records(folder, record):
    for file in (folder / "records").iterdir():
        file.unlink()
    Store(folder).append(record)


def test_a_record_that_knows_no_floor_is_measured_again(invoke, measured, tmp_path):
    assert invoke("resnet18").exit_code == 0
    [record] = Store(tmp_path).all()
    del record.values["floor"]
    replace_records(tmp_path, record)
    assert invoke("resnet18", "--skip-existing").exit_code == 0
    assert len(measured) == 2


def test_what_other_code_timed_is_measured_again(invoke, measured, tmp_path):
    assert invoke("resnet18").exit_code == 0
    [record] = Store(tmp_path).all()
    record.provenance.code = {"mogabench.layers.moga": "0" * 12}
    replace_records(tmp_path, record)
    for _ in range(2):
        assert invoke("resnet18", "--skip-existing").exit_code == 0
    assert len(measured) == 2


def lasting(record, iterations, seconds, median_error):
    values = {"iterations": iterations, "seconds": seconds, "median_error": median_error}
    added = {name: Quantity(value=value, unit="1") for name, value in values.items()}
    return record.model_copy(update={"values": record.values | added})


def test_a_timing_that_was_shorter_than_asked_is_no_reason_to_skip(invoke, measured, tmp_path):
    assert invoke("resnet18").exit_code == 0
    [record] = Store(tmp_path).all()
    cases = (
        ((64, 30, 0.9), ("--min-iterations", "65"), False),
        ((64, 4, 3.0), (), False),  # such as of `run`, which ends without knowing the median
        ((64, 4, 3.0), ("--min-seconds", "4", "--min-iterations", "64"), True),
        ((64, 4, 1.0), (), True),
    )
    for lasted, asked, is_taken in cases:
        measured.clear()
        replace_records(tmp_path, lasting(record, *lasted))
        assert invoke("resnet18", "--skip-existing", *asked).exit_code == 0
        assert (not measured) == is_taken, (lasted, asked)


def test_of_two_timings_the_one_whose_median_is_known_is_taken(invoke, measured, tmp_path):
    assert invoke("resnet18").exit_code == 0
    [record] = Store(tmp_path).all()
    for error in (0.8, 0.9, 1.1):
        Store(tmp_path).append(lasting(record, 64, 30, error))
    done = invoke("resnet18", "--skip-existing", "--format", "json")
    [found] = json.loads(done.stdout)
    assert (found["values"]["median_error"]["value"], len(measured)) == (0.9, 1)


def test_a_busy_machine_is_reported_marked_and_measured_again(invoke, measured, caplog):
    arguments = ("resnet152", "resnet18", "--skip-existing")
    done = invoke(*arguments)
    assert "resnet152, float32 eager, busy machine\n" in done.stdout
    [line] = [line for line in caplog.messages if "busy" in line]
    assert "resnet152 float32 eager: the machine was busy: a thread lacked a core for 31 %" in line
    assert "load before: 2.5" in line
    invoke(*arguments)
    assert [r.subject.backbone for r in measured] == ["resnet152", "resnet18", "resnet152"]


def test_a_network_that_dies_is_reported_and_does_not_stop_the_sweep(
    invoke, measured, tmp_path, caplog
):
    done = invoke("resnet18", "densenet121", "resnet34", "--format", "json")
    assert done.exit_code == 1
    assert "mogabench: densenet121: its process was killed" in caplog.text
    printed = [entry["subject"]["backbone"] for entry in json.loads(done.stdout)]
    stored = [record.subject.backbone for record in Store(tmp_path).all(Kind.THROUGHPUT)]
    assert printed == stored == ["resnet18", "resnet34"]


def test_skips_what_has_a_record_only_when_asked(invoke, measured):
    for extra in ([], [], ["--skip-existing"], ["--skip-existing", "--dtype", "float16"]):
        assert invoke("resnet18", *extra).exit_code == 0
    assert [r.settings.dtype for r in measured] == ["float32", "float32", "float16"]


def test_a_record_of_other_threads_or_batches_is_no_reason_to_skip(invoke, measured):
    """The packaged records are of one thread and batch 1; a plain command asks for others."""
    arguments = ("resnet18", "--skip-existing")
    asked = ([], ["--batch-size", "1"], ["--threads", str(torch.get_num_threads() + 1)])
    for extra in asked * 2:
        assert invoke(*arguments, *extra).exit_code == 0
    assert len(measured) == 3


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["resnet50", "convnext_tinny"],
            r"unknown backbone 'convnext_tinny'; did you mean convnext_tiny",
        ),
        (["resnet50", "--dtype", "bfloat61"], "unknown dtype 'bfloat61'; did you mean bfloat16"),
        (["resnet50", "--batch-size", "0"], "--batch-size 0: give a number from 1 up, or auto"),
        (
            ["resnet50", "--max-seconds", "3"],
            "--max-seconds 3 is less than --min-seconds 5: give more",
        ),
        (
            ["resnet50", "--format", "csv", "--eager", "--compile"],
            "--format csv is for one set-up: give one --dtype, --runtime and mode",
        ),
        (
            ["resnet50", "--task", "mesh", "--format", "csv"],
            "--format csv has timm's columns, which are of classifiers without options",
        ),
        (["resnet50", "--compare"], "--compare needs two networks, or two set-ups of one"),
        (
            ["resnet50", "resnet18", "--compare", "--skip-existing"],
            "--compare uses no records: leave out --skip-existing and --format csv",
        ),
        (
            ["--task", "detection", "resnet50", "--train-step"],
            "--train-step is for classification, .*: detection has no random data to train on",
        ),
        (
            ["resnet50", "--train-step", "--runtime", "openvino"],
            "--runtime openvino does not train: leave out --train-step",
        ),
        (
            ["resnet50", "--compile", "--runtime", "openvino"],
            "--runtime openvino has no --compile and no --channels-last",
        ),
        (
            ["resnet50", "--train-step", "--dtype", "float16"],
            "training in float16 needs a GPU; --dtype bfloat16 works on the CPU",
        ),
        (["resnet50", "--check", "ptflops"], r"unknown check 'ptflops' \(valid: fvcore\)"),
        (["resnet50", "--check", "fvcore", "-f", "csv"], "--format csv is for timings: --check"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(invoke, measured, arguments, line):
    done = invoke(*arguments)
    assert isinstance(done.exception, UserError)
    assert re.search(line, str(done.exception))
    assert measured == []


def test_gpu_without_a_gpu_says_so_in_one_line(invoke, measured, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    done = invoke("resnet50", "--gpu")
    assert (done.exit_code, done.stdout, measured) == (1, "", [])
    assert done.stderr.startswith("mogabench: no GPU that PyTorch ")
    assert done.stderr.count("\n") == 1


def test_check_sets_our_count_beside_fvcores(invoke, measured):
    [found] = json.loads(invoke("resnet50", "--check", "fvcore", "--format", "json").stdout)
    assert found["fvcore"] == pytest.approx(4.1e9, rel=0.01)  # He et al.; torchvision: 4.09 G
    assert found["ours"] == pytest.approx(found["fvcore"], rel=0.001)
    assert measured == []


def test_check_has_a_row_for_each_size_of_a_backbone(invoke, monkeypatch):
    """As a paper times it."""
    task = get_task("classification")
    asked = [
        make_subject(task, name, input_size=(side, side))
        for name, side in (("resnet18", 32), ("resnet34", 32), ("resnet18", 64))
    ]
    monkeypatch.setattr(subjects, "subjects_to_time", lambda *_, **__: asked)
    monkeypatch.setattr(
        reference,
        "compare_with_fvcore",
        lambda subject: reference.Comparison(ours=subject.input_size[0] * 10**9, fvcore=10**9),
    )
    key = "classification/classifier/resnet18@"
    text = invoke("--paper", "mine", "--check", "fvcore").stdout
    assert [line.split()[:2] for line in text.splitlines()[2:]] == [
        [f"{key}32x32", "32.0000"],
        ["resnet34", "32.0000"],
        [f"{key}64x64", "64.0000"],
    ]
    found = json.loads(invoke("--paper", "mine", "--check", "fvcore", "-f", "json").stdout)
    assert [(one["subject"], one["ours"]) for one in found] == [
        (subject.key, subject.input_size[0] * 10**9) for subject in asked
    ]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for the child in /proc")
def test_interrupt_stops_the_child_and_keeps_the_records_so_far(tmp_path):
    code = "from mogabench.cli import main; main()"
    options = "--size 32 --batch-size 1 --min-iterations 1 --min-seconds 2 --max-seconds 2"
    options += " --warmup-seconds 0"
    command = f"profile resnet10t resnet18 {options} --results {tmp_path}"
    sweep = subprocess.Popen(
        [sys.executable, "-c", code, *command.split()],
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for((tmp_path / "records" / "throughput.jsonl").exists)
    wait_for(lambda: children_of(sweep.pid))
    [child] = children_of(sweep.pid)
    sweep.send_signal(signal.SIGINT)
    _, errors = sweep.communicate(timeout=10)
    assert sweep.returncode == 130
    assert "Traceback" not in errors
    wait_for(lambda: has_ended(child))
    [kept] = Store(tmp_path).all()
    assert kept.subject.backbone == "resnet10t"


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children_of(process):
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


def has_ended(process):
    status = Path(f"/proc/{process}/status")
    return not status.exists() or "State:\tZ" in status.read_text()

"""Command lines with odd, missing and repeated words: a result, or a line and a status of 2."""

import shlex
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.main import get_command
from typer.testing import CliRunner

from mogabench.cli import app
from mogabench.cli.parsing import parse
from mogabench.errors import AlreadyReportedError, UserError

SOUND = [
    shlex.split(line)
    for line in (
        "count moganet_tiny --size 64 --depth 1",
        "profile moganet_tiny --size 64x64 --batch-size auto --dtype float32 --min-seconds 0.1",
        "profile resnet18 resnet50 --batch-size 1 --compare --threads 1 --format json",
        "predict a.png --weights w.pth --task classification --size 64 -o out",
        "export --variant t --weights w.pth --size 64 -o a.onnx --to onnx",
        "sweep plan.yaml --dry-run --gpu h200 --hours 8 --jobs 2",
        "sweep plan.yaml --slurm partition=a,gpus=1,time=1h --dry-run",
        "table 2 --columns Top-1 --paper moganet --beside timm=a.csv",
        "table all --papers papers --format html -o a.html",
        "table 3 --format csv --add resnet18 --size 64 --option a=1 --fresh",
        "compare moganet_tiny resnet18 --tasks classification --format json",
        "explain 2:MogaNet-T:top1 --format json",
        "show sample_digits --set optimizer.lr=1e-3",
        "show 2",
        "list models --task detection --format json",
        "list recipes",
        "records merge results other --results results",
        "records diff results other",
        "records check results",
        "paper check papers/mine",
        "paper new mine",
        "run classification -v t --data data --weights official --size 224 --amp bfloat16 --no-ema",
        "run classification --backbone resnet18 --data data --train --recipe sample_digits "
        "--set optimizer.lr=1e-3 --time-budget 6m --work-dir w --workers 0 --batch-size 8",
        "run pose -v t --data data --train --resume --option drop_path=0.1 --boxes b.json",
        "run video --translator moganet --size 10x1x64x64 --data data --layout NTHW",
        "analyze receptive-field --models moganet_tiny --size 64 --weights w.pth",
        "analyze gradcam --models t --weights w.pth --image a.png --class 3 --layer stages.3",
        "analyze interaction --models moganet_tiny --weights w.pth --data data --budget 100",
    )
]
KEPT = Path(__file__).with_name("corpus").joinpath("command-lines.txt").read_text().splitlines()
"""Those that once ended otherwise, or nearly."""
WORDS = sorted({word for line in SOUND for word in line})
ODD = ["", "-", "--", "-1", "0", "1e999", "nan", "inf", "9" * 50, "a" * 5000, "ä\u202e"]
ODD += ["=", "a=", "=b", "{", "[", "0x0", "x", "64x", "2:*:*", "*", "/", "/dev/full", "a\nb"]
ODD += ["--help", "-q", "--import", "--results", "--set", "--option", "--format", "--size"]
ODD += ["\x1b[31m", "../b", "~", "%s"]


@st.composite
def command_lines(draw):
    """A sound command with words left out, replaced or added."""
    words = list(draw(st.sampled_from(SOUND)))
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        place = draw(st.integers(1, len(words)))
        new = draw(st.sampled_from([*ODD, *WORDS]) | st.text(max_size=4))
        words[place : place + draw(st.integers(0, 1))] = [new] * draw(st.integers(0, 2))
    return words


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """A folder without network, and where nothing is measured."""

    def stop(*_, **__):
        raise UserError("the measuring would begin here")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mogabench.checkpoints.download.urlopen", stop)
    for place in (
        "mogabench.tables.row.measure_row",
        "mogabench.measure.complexity.count_subject",
        "mogabench.measure.sweep.sweep",
        "mogabench.measure.profiling.sweep_throughput",
        "mogabench.measure.comparing.compare",
        "mogabench.engine.launch.start_processes",
        "mogabench.sweeps.local.run_here",
        "mogabench.sweeps.cluster.slurm_executor",
    ):
        monkeypatch.setattr(place, stop)
    for name in ("data", "papers", "results", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "plan.yaml").write_text("- run: classification\n  backbone: resnet18\n")


def end_of(words):
    done = CliRunner().invoke(app, words)
    error = done.exception
    if isinstance(error, UserError | AlreadyReportedError):
        assert isinstance(error, AlreadyReportedError) or str(error)
        return 2
    assert error is None or isinstance(error, SystemExit), (words, error)
    assert done.exit_code in (0, 1, 2), words
    return done.exit_code


@pytest.mark.parametrize("words", SOUND, ids=" ".join)
def test_a_sound_command_line_has_what_its_command_takes(words):
    parse(get_command(app), [*words])


@pytest.mark.slow
def test_any_command_line_ends_with_a_result_or_a_line(alone):
    count = Counter()

    @settings(
        max_examples=400,
        deadline=20_000,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(command_lines())
    def check(words):
        count[end_of(words)] += 1

    check()
    print(count)
    assert count[0] and count[2]


@pytest.mark.parametrize("kept", KEPT)
def test_a_kept_command_line_is_refused(alone, kept):
    assert end_of(shlex.split(kept)) == 2

"""Whole commands in several processes, of which one may die."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mogabench.records import Kind, Store

pytestmark = pytest.mark.slow

FAILING = """
import os
from timm.models import register_model

@register_model
def failing_net(**options):
    import timm
    network = timm.create_model("test_convnext", **options)
    network.register_forward_hook(fail)
    return network

def fail(network, *_):
    network.passes = getattr(network, "passes", 0) + 1
    if network.passes == 2 and os.environ.get("RANK") == "1":
        %s
"""


def command(folder, *arguments, backbone="test_convnext", nproc=2):
    run = [sys.executable, "-P", "-m", "mogabench", "run", "classification"]
    run += ["--backbone", backbone, "--recipe", "sample_digits", "--workers", 0, "-q"]
    run += ["--set", "schedule.warmup_epochs=0", "--set", "batch_size=16", "--device", "cpu"]
    run += ["--data", folder, "--results", "results", "--nproc", nproc]
    return [*map(str, [*run, *arguments])]


def finished(place, run):
    return subprocess.run(run, cwd=place, capture_output=True, text=True, check=False)


def without_nproc(run):
    place = run.index("--nproc")
    return run[:place] + run[place + 2 :]


def of_srun(number):
    """The environment of one of two processes that SLURM started."""
    step = {"SLURM_STEP_NODELIST": "localhost", "SLURM_STEP_NUM_TASKS": "2"}
    own = {"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number)}
    return os.environ | {"SLURM_JOB_ID": str(os.getpid())} | step | own


def children(process):
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(number) for number in listed.split()]


def test_a_training_and_an_evaluation_in_processes_of_their_own(folder, tmp_path):
    next(folder.glob("val/*/3.png")).unlink()  # of 11 images one process has six, the other five
    arguments = ["--train", "--set", "schedule.epochs=1", "--batch-size", 4, "--work-dir", "work"]
    trained = finished(tmp_path, command(folder, *arguments))
    assert trained.returncode == 0, trained.stderr
    assert "batch 16 = 2 devices x 4 images x 2 steps" in trained.stderr
    again = ["--weights", "work/weights.pth", "--set", "schedule.epochs=1"]
    evaluated = finished(tmp_path, command(folder, *again, nproc=1))
    assert evaluated.returncode == 0, evaluated.stderr
    one, other = Store(tmp_path / "results").all(Kind.QUALITY)
    assert one.values == other.values
    assert evaluated.stdout.splitlines()[:2] == trained.stdout.splitlines()[:2]
    exported = finished(tmp_path, command(folder, *again, "--runtime", "onnxruntime"))
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.splitlines()[1] == trained.stdout.splitlines()[1]
    odd = ["--batch-size", 5, "--work-dir", "other"]
    refused = finished(tmp_path, command(folder, *arguments, *odd))
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "batches of 5 images on 2 device(s) do not add up to the recipe's" in refused.stderr


@pytest.mark.parametrize("number", [0, 1])
def test_the_others_end_with_a_process_that_is_killed(folder, tmp_path, number):
    arguments = ["--train", "--set", "schedule.epochs=100000", "--work-dir", "work"]
    errors = tmp_path / "errors"
    with errors.open("w") as file:
        agent = subprocess.Popen(command(folder, *arguments), cwd=tmp_path, stderr=file)
    checkpoint = tmp_path / "work" / "checkpoint.pth"
    limit = time.monotonic() + 120
    while not checkpoint.exists():
        assert agent.poll() is None and time.monotonic() < limit, errors.read_text()
        time.sleep(0.1)
    members = [
        member
        for member in children(agent.pid)
        if b"mogabench\0run" in Path(f"/proc/{member}/cmdline").read_bytes()
    ]
    assert len(members) == 2
    os.kill(members[number], signal.SIGKILL)
    assert agent.wait(60) == 2
    lines = [line for line in errors.read_text().splitlines() if line.startswith("mogabench: ")]
    assert len(lines) == 1
    assert f"process {number} of 2 was killed by SIGKILL" in lines[0]
    assert not any(Path(f"/proc/{member}").exists() for member in members)


@pytest.mark.parametrize(
    ("launcher", "raised"),
    [
        ("--nproc", ("raise ValueError('a bug')", "ValueError: a bug", 1)),
        (
            "srun",
            (
                "from mogabench.errors import UserError; raise UserError('a mistake')",
                "mogabench: a mistake",
                2,
            ),
        ),
    ],
)
def test_an_exception_in_one_ends_all_with_one_message(folder, tmp_path, raised, launcher):
    what, last, status = raised
    (tmp_path / "failing.py").write_text(FAILING % what)
    arguments = ["--train", "--set", "schedule.epochs=1", "--work-dir", "work"]
    arguments += ["--import", "failing"]
    run = command(folder, *arguments, backbone="failing_net")
    environments = [os.environ]
    if launcher == "srun":
        run, environments = without_nproc(run), [of_srun(0), of_srun(1)]
    began = time.monotonic()
    started = [
        subprocess.Popen(
            run,
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            env=environment | {"PYTHONPATH": str(tmp_path)},
        )
        for environment in environments
    ]
    errors = [process.communicate(timeout=100)[1] for process in started]
    assert started[-1].returncode == status, errors
    assert all(process.returncode for process in started)
    assert time.monotonic() - began < 100
    said = "".join(errors)
    assert said.count(last) == 1
    assert len(re.findall(r"^(\[rank\d\]: )?(\w*Error|mogabench): ", said, re.M)) == 1, said


@pytest.mark.parametrize(
    ("number", "sign", "said"),
    [(1, signal.SIGSTOP, "process 1 of 2 stopped responding"), (0, signal.SIGKILL, "lost")],
)
def test_the_others_end_without_an_agent(folder, tmp_path, number, sign, said):
    """One that stands still, as where a machine is lost, closes nothing."""
    run = command(folder, "--train", "--set", "schedule.epochs=100000", "--work-dir", "work")
    run = without_nproc(run)
    started = [
        subprocess.Popen(run, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=of_srun(number))
        for number in (0, 1)
    ]
    try:
        checkpoint = tmp_path / "work" / "checkpoint.pth"
        limit = time.monotonic() + 120
        while not checkpoint.exists():
            assert time.monotonic() < limit and all(each.poll() is None for each in started)
            time.sleep(0.1)
        started[number].send_signal(sign)
        other = started[1 - number]
        _, error = other.communicate(timeout=60)
    finally:
        for each in started:
            each.kill()
    assert other.returncode in (1, 2)
    assert error.count("mogabench: ") == 1
    assert f"{said}; --resume goes on" in error

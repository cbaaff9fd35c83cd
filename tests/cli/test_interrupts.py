"""Ctrl-C to a training whose images other processes load."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.forking import start_command

MOMENTS = 3


def members(session):
    """The processes of a session that have not ended."""
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, own, *_ = place.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(own) == session and state != "Z":
            yield int(place.parent.name)


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["group", "main process"])
def test_ctrl_c_ends_a_training_and_its_loaders(folder, tmp_path, moment, send):
    said, checkpoint = tmp_path / "said", tmp_path / "work" / "checkpoint.pth"
    arguments = ["run", "classification", "--backbone", "test_convnext", "--device", "cpu"]
    arguments += ["--recipe", "sample_digits", "--set", "batch_size=16", "--workers", 2]
    arguments += ["--set", "schedule.epochs=100000", "--set", "schedule.warmup_epochs=0"]
    arguments += ["--size", 32, "--data", folder, "--train", "--work-dir", tmp_path / "work"]
    arguments += ["--results", tmp_path / "results"]
    process = start_command(*arguments, out=said, err=said)
    limit = time.monotonic() + 120
    while not checkpoint.exists():
        assert process.is_alive() and time.monotonic() < limit, said.read_text()
        time.sleep(0.01)
    time.sleep(random.Random(moment).uniform(0, 1.5))
    send(process.pid, signal.SIGINT)
    process.join(10)
    left = list(members(process.pid))
    for number in left:
        os.kill(number, signal.SIGKILL)
    assert (process.exitcode, left) == (130, []), said.read_text()
    lines = said.read_text().splitlines()
    assert lines[-1] == "mogabench: interrupted; what was finished is kept"
    assert "Traceback" not in said.read_text()

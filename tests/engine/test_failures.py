"""Memory that is used up and loaders that are killed, each of which ends a run in one line."""

import multiprocessing
import os
import signal
import subprocess
import threading
import time

import numpy as np
import pytest
import timm
import torch

from mogabench import load
from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.tasks.classification import TASK
from mogabench.tasks.classification.model import Classifier


def failing(error):
    def loss(*_, **__):
        raise error

    return loss


def more_than_there_is():
    try:
        torch.empty(1 << 60, dtype=torch.uint8)
    except RuntimeError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"batch_size": 8}, "a smaller --batch-size than 8 needs less"),
        (
            {"workers": 1},
            "a smaller --batch-size than the recipe's 16, which stays the batch of a step, or "
            "fewer --workers than 1 needs less",
        ),
    ],
)
@pytest.mark.parametrize(
    "error",
    [more_than_there_is(), MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to")],
    ids=["allocator", "Python", "CUDA"],
)
def test_used_up_memory_is_one_line(job, monkeypatch, settings, advice, error):
    monkeypatch.setattr(Classifier, "loss", failing(error))
    with pytest.raises(UserError) as caught:
        run(job(**settings), TASK)
    line = f"memory is used up: {advice}; --resume goes on from the last checkpoint"
    assert str(caught.value) == line


def test_other_errors_stay_what_they_are(job, monkeypatch):
    monkeypatch.setattr(Classifier, "loss", failing(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        run(job(), TASK)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_loader_is_one_line_and_no_hang(job, monkeypatch, workers):
    loss = Classifier.loss
    killed = threading.Event()

    def kill_a_loader(self, *arguments, **batch):
        if not killed.is_set():
            killed.set()
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        time.sleep(0.05)
        return loss(self, *arguments, **batch)

    monkeypatch.setattr(Classifier, "loss", kill_a_loader)
    began = time.monotonic()
    with pytest.raises(UserError, match="a process that loads data was killed, perhaps for lack"):
        run(job("schedule.epochs=50", workers=workers), TASK)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "error",
    [
        "unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)",
        "unable to write to file </torch_1_2_3>: No space left on device (28)",
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that "
        "dataloader's workers are out of shared memory. Please try to raise your shared memory "
        "limit.",
    ],
)
def test_full_shared_memory_is_one_line(job, monkeypatch, error):
    """As in a container of Docker, which gives 64 MB."""
    monkeypatch.setattr(Classifier, "loss", failing(RuntimeError(error)))
    with pytest.raises(UserError, match=r"^/dev/shm is full: --workers 0, .*--shm-size .*--resume"):
        run(job(), TASK)


BUILD = ["gcc", "/tmp/a/cuda_utils.c", "-shared", "-I/opt/triton/backends/nvidia/include"]


@pytest.fixture(params=["no compiler", "no headers"])
def without_compiler(request, monkeypatch):
    errors = {
        "no compiler": RuntimeError("Failed to find C compiler. Please specify via CC environment"),
        "no headers": subprocess.CalledProcessError(1, BUILD),
    }
    monkeypatch.setattr(Classifier, "forward", failing(errors[request.param]))


NEEDED = "^Triton needs a C compiler and Python's headers: install them"


@pytest.mark.parametrize(
    ("how", "instead"),
    [({"channels_last": True}, ", or add --no-channels-last"), ({"channels_last": False}, "")],
)
def test_triton_without_a_compiler_is_one_line(job, without_compiler, how, instead):
    with pytest.raises(UserError, match=f"{NEEDED}{instead}$"):
        run(job(**how), TASK)


def test_triton_without_a_compiler_predicts_in_one_line(tmp_path, without_compiler):
    torch.save(timm.create_model("test_convnext").state_dict(), tmp_path / "w.pth")
    predictor = load(tmp_path / "w.pth", network="test_convnext", device="cpu")
    with pytest.raises(UserError, match=f"{NEEDED}$"):
        predictor.predict(np.zeros((32, 32, 3), np.uint8))

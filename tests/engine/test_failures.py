"""Memory that is used up and loaders that are killed, each of which ends a run in one line."""

import multiprocessing
import os
import signal
import threading
import time

import pytest
import torch

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

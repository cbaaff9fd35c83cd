import os
import random
import signal
import time
from dataclasses import replace

import pytest
import torch

from mogabench.engine.curve import CURVE
from mogabench.engine.run import WEIGHTS, run
from mogabench.engine.saving import CHECKPOINT
from mogabench.tasks.classification import TASK
from tests import forking

EVERYTHING_RANDOM = [
    "schedule.epochs=8",
    "schedule.warmup_epochs=1",
    "model.drop_path=0.2",
    "augment.rand_augment=9/0.5",
    "augment.erasing=0.5",
    "augment.mixup=0.8",
    "augment.cutmix=1.0",
    "augment.hflip=0.5",
    "ema={decay_start: 0.5, decay: 0.9}",
]


def start(job):
    return forking.start(run, job, TASK)


def finish(job):
    process = start(job)
    process.join(120)
    assert process.exitcode == 0
    weights = torch.load(job.work_dir / WEIGHTS, weights_only=True)["state_dict"]
    return weights, (job.work_dir / CURVE).read_text()


def stop_after_a_checkpoint(process, checkpoint, sign, delay):
    """Waits for a new checkpoint, then a moment more, then sends the signal."""
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    while process.is_alive():
        if checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
            time.sleep(delay)
            os.kill(process.pid, sign)
            break
        time.sleep(0.001)
    process.join(60)


def check_that_stops_change_nothing(job, folder, signals, **changes):
    # Saving after every step makes half of the moments fall into saving.
    through = job(*EVERYTHING_RANDOM, save_seconds=0, **changes)
    expected, curve = finish(through)
    broken = replace(through, work_dir=folder / "broken")
    for sign in signals:
        resume = (broken.work_dir / CHECKPOINT).exists()
        process = start(replace(broken, resume=resume))
        stop_after_a_checkpoint(
            process, broken.work_dir / CHECKPOINT, sign, random.uniform(0, 0.05)
        )
        assert process.exitcode != 0, "the training ended before it could be stopped"
    actual, same_curve = finish(replace(broken, resume=True))
    assert actual.keys() == expected.keys()
    assert not [name for name in expected if not torch.equal(actual[name], expected[name])]
    assert same_curve == curve


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights_bit_by_bit(job, tmp_path):
    changes = {"backbone": "test_resnet", "workers": 1}
    check_that_stops_change_nothing(job, tmp_path, [signal.SIGKILL] * 3, **changes)


@pytest.mark.slow
def test_so_does_one_that_was_interrupted(job, tmp_path):
    check_that_stops_change_nothing(job, tmp_path, [signal.SIGINT] * 3)


@pytest.mark.slow
def test_so_does_one_with_accumulated_gradients(job, tmp_path):
    changes = {"backbone": "test_vit", "workers": 2, "batch_size": 8}
    check_that_stops_change_nothing(job, tmp_path, [signal.SIGKILL] * 4, **changes)

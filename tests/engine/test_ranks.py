"""Trainings and evaluations of several processes."""

from dataclasses import replace

import pytest

from mogabench.engine.run import run
from mogabench.errors import AlreadyReportedError, UserError
from mogabench.tasks.classification import TASK
from tests.engine.ranks import run_on

UNEVEN = ["schedule.epochs=3", "batch_size=12", "optimizer.lr=0.01", "augment.hflip=0.5"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ranks", "ema"), [(2, "ema=null"), (3, "ema={decay_start: 0.5, decay: 0.9}")]
)
def test_the_recorded_figures_are_those_of_the_saved_weights(job, tmp_path, ranks, ema):
    predicted = [tmp_path / "recorded.csv", tmp_path / "alone.csv"]
    training = job(*UNEVEN, ema, backbone="resnet10t", predictions=predicted[0])
    training = replace(
        training, subject=training.subject.model_copy(update={"backbone": "resnet10t"})
    )
    outcomes = run_on(ranks, training)
    saved = outcomes[0].checkpoint
    alone = run(
        replace(training, train=False, weights=saved, work_dir=None, predictions=predicted[1]), TASK
    )
    assert [outcome.metrics for outcome in outcomes] == [alone.metrics] * ranks
    assert predicted[0].read_text() == predicted[1].read_text()


EXPLODING = """
import os
import torch
from mogabench.tasks.classification import TASK

build = type(TASK).build

def exploding(self, subject):
    network = build(self, subject)
    network.stages[1].register_forward_hook(explode)
    return network

def explode(stage, _, maps):
    stage.passes = getattr(stage, "passes", 0) + stage.training
    return maps * torch.inf if os.environ["RANK"] == "1" and stage.passes in (5, 6) else maps

type(TASK).build = exploding
"""


@pytest.mark.slow
def test_all_stop_at_the_step_in_which_the_loss_of_one_is_not_finite(job):
    found = run_on(2, job("schedule.epochs=4", "batch_size=12"), EXPLODING)
    (said,) = [error for error in found if not isinstance(error, AlreadyReportedError)]
    assert isinstance(said, UserError)
    assert "not finite in step 5, at the learning rate" in str(said)
    assert "is the output of stages.1 (ConvNeXtStage) in process 1; a lower" in str(said)
    assert sum(isinstance(error, AlreadyReportedError) for error in found) == 1


IDLE = """
from torch import nn
from mogabench.tasks.classification import TASK

build = type(TASK).build

def with_idle(self, subject):
    network = build(self, subject)
    network.idle = nn.Linear(2, 3)
    return network

type(TASK).build = with_idle
"""


@pytest.mark.slow
def test_what_the_loss_does_not_depend_on_is_named(job):
    found = run_on(2, job("schedule.epochs=1", "batch_size=12"), IDLE)
    (said,) = [error for error in found if not isinstance(error, AlreadyReportedError)]
    assert isinstance(said, UserError)
    assert "loss does not depend on 2 parameter(s) of the network, such as idle.weight" in str(said)
    (alone,) = run_on(1, job("schedule.epochs=1", "batch_size=12"), IDLE)
    assert alone.metrics


HIDING = """
import os
from pathlib import Path

exists = Path.exists
is_hidden = lambda file: os.environ["RANK"] == "1" and file.name == "checkpoint.pth"
Path.exists = lambda file: exists(file) and not is_hidden(file)
"""


@pytest.mark.slow
def test_a_checkpoint_that_one_process_does_not_see_is_not_resumed_from(job):
    training = job("schedule.epochs=1", "batch_size=12")
    file = run(training, TASK).checkpoint.with_name("checkpoint.pth")
    before = file.read_bytes()
    found = run_on(2, replace(training, resume=True), HIDING)
    (said,) = [error for error in found if not isinstance(error, AlreadyReportedError)]
    assert isinstance(said, UserError)
    assert str(said) == (
        f"not all processes see the same {file}: --work-dir must be a folder that all machines "
        "share"
    )
    assert file.read_bytes() == before

"""Numbers that are not finite end a run in one line, and reach no record."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from mogabench.engine.model import require_finite
from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.records import Quantity
from mogabench.tasks.classification import TASK


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nested_outputs_are_looked_through(bad):
    fine = {"maps": [torch.ones(2), (torch.zeros(3), None)], "sizes": "32x32"}
    require_finite(fine, None)
    fine["maps"][1][0][2] = bad
    with pytest.raises(UserError, match="not finite: its weights have diverged"):
        require_finite(fine, None)
    with pytest.raises(UserError, match="not finite: float16 ends at 65504: --amp bfloat16"):
        require_finite(fine, torch.float16)


def test_an_evaluation_of_a_network_that_overflows_gives_no_figure(job, tmp_path, monkeypatch):
    whole = run(job("schedule.epochs=1"), TASK)
    build = TASK.build

    def overflowing(subject):
        network = build(subject)
        network.get_classifier().register_forward_hook(lambda *_: torch.full((4, 3), math.nan))
        return network

    monkeypatch.setattr(TASK, "build", overflowing)
    evaluation = job(
        "schedule.epochs=1", train=False, weights=whole.checkpoint, work_dir=None, batch_size=4
    )
    with pytest.raises(UserError, match="the network gives numbers that are not finite"):
        run(evaluation, TASK)


class Exploding(nn.Module):
    """Passes on what comes in, but for infinity once, in the training batch of a number."""

    def __init__(self, at):
        super().__init__()
        self.at, self.passes = at, 0

    def forward(self, maps):
        if not self.training:
            return maps
        self.passes += 1
        return torch.where(torch.tensor(self.passes in self.at), torch.inf, maps)


def test_a_training_stops_at_the_very_step_and_names_the_layer(job, monkeypatch):
    """Of the seventh batch, with two of eight in a step; and repeats the step's batches to look."""
    build = TASK.build

    def exploding(subject):
        network = build(subject)
        network.stages[1].blocks.append(Exploding(at=(7, 9)))
        return network

    monkeypatch.setattr(TASK, "build", exploding)
    training = job("schedule.epochs=4", batch_size=8)
    with pytest.raises(UserError) as error:
        run(training, TASK)
    blocks = len(build(training.subject).stages[1].blocks)
    assert str(error.value) == (
        "the loss is not finite in step 4, at the learning rate 0.00171: the first that is not "
        f"finite is the output of stages.1.blocks.{blocks} (Exploding); a lower optimizer.lr may "
        f"keep it finite; the last good checkpoint is {training.work_dir}/checkpoint.pth"
    )
    saved = torch.load(training.work_dir / "checkpoint.pth", weights_only=True)
    assert saved["meta"]["iter"] == 3


@pytest.mark.parametrize("ema", ["null", "{}"])
def test_a_mask_of_minus_infinity_is_no_divergence(job, monkeypatch, ema):
    """A network of attention may keep one among its weights."""
    build = TASK.build

    def masked(subject):
        network = build(subject)
        network.register_buffer("mask", torch.full((4, 4), -math.inf).triu(1))
        return network

    monkeypatch.setattr(TASK, "build", masked)
    trained = run(job("schedule.epochs=1", f"ema={ema}"), TASK)
    evaluation = job(train=False, recipe=None, weights=trained.checkpoint, work_dir=None)
    assert run(evaluation, TASK).metrics == trained.metrics


def test_a_batch_norm_over_single_values_is_one_line(job):
    single = job("batch_size=1", "augment.mixup=0.0", "augment.cutmix=0.0")
    subject = single.subject.model_copy(update={"backbone": "resnet10t"})
    model = TASK.build(subject)
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    with pytest.raises(UserError, match="a single value for each channel"):
        run(job("batch_size=1", subject=subject), TASK)


def test_records_take_finite_numbers_only():
    for value in (math.nan, math.inf):
        with pytest.raises(ValidationError):
            Quantity(value=value, unit="1")

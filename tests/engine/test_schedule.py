import math
from types import SimpleNamespace

import pytest
import torch

from mogabench.engine.schedule import FollowSchedule
from mogabench.recipes.schedules import CosineSchedule, OneCycleSchedule, PolySchedule, StepSchedule


def rates(schedule, lr, steps_per_epoch=1, first=0):
    """The learning rate of each step, as the hook leaves it for the optimizer."""
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    total = schedule.total_steps(steps_per_epoch)
    runner = SimpleNamespace(
        iter=first,
        max_iters=total,
        train_loop=SimpleNamespace(steps_per_epoch=steps_per_epoch),
        optim_wrapper=SimpleNamespace(optimizer=optimizer),
    )
    hook = FollowSchedule(schedule)
    hook.before_train(runner)
    for runner.iter in range(first, total):
        group = optimizer.param_groups[0]
        yield group["lr"], group["betas"][0]
        optimizer.step()
        hook.after_train_iter(runner)


def lr_of(*arguments, **options):
    return [lr for lr, _ in rates(*arguments, **options)]


def test_a_cosine_rises_linearly_then_falls_and_stays():
    schedule = CosineSchedule(
        epochs=6, warmup_epochs=2, warmup_lr=0.0, min_lr=0.1, cooldown_epochs=1
    )
    lr = lr_of(schedule, 0.9, 4)
    assert lr[:8] == pytest.approx([0.9 * step / 8 for step in range(8)])
    fall = [0.1 + 0.8 * (1 + math.cos(math.pi * step / 16)) / 2 for step in range(16)]
    assert lr[8:24] == pytest.approx(fall)
    assert lr[16] == pytest.approx(0.5)
    assert lr[24:] == [0.1] * 4


def test_a_warm_up_of_one_step():
    schedule = CosineSchedule(epochs=3, warmup_epochs=1, warmup_lr=0.01, min_lr=0.0)
    assert lr_of(schedule, 1.0) == pytest.approx([0.01, 1.0, 0.5])


def test_steps_down_after_each_milestone():
    schedule = StepSchedule(epochs=5, milestones=(2, 4), warmup_steps=4, warmup_lr=0.2)
    expected = [0.2, 0.4, 0.6, 0.8] + [1.0] * 2 + [0.1] * 6 + [0.01] * 3
    assert lr_of(schedule, 1.0, 3) == pytest.approx(expected)


@pytest.mark.parametrize("milestones", [(8, 11), (11, 8), (9, 3, 9, 6)])
def test_milestones_are_those_of_pytorch_in_any_order(milestones):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)
    expected = []
    for _ in range(12):
        expected += theirs.get_last_lr() * 2
        optimizer.step()
        theirs.step()
    schedule = StepSchedule(epochs=12, milestones=milestones)
    assert lr_of(schedule, 1.0, 2) == pytest.approx(expected)


def test_a_polynomial_of_the_steps_whatever_the_epochs():
    schedule = PolySchedule(steps=10, power=2.0, min_lr=0.1, warmup_steps=2, warmup_lr=0.5)
    fall = [0.1 + 0.9 * (1 - step / 8) ** 2 for step in range(8)]
    assert lr_of(schedule, 1.0, 3) == pytest.approx([0.5, 0.75, *fall])


def test_one_cycle_up_and_down_with_the_momentum_the_other_way_round():
    schedule = OneCycleSchedule(epochs=10, warmup_fraction=0.3, div_factor=5.0)
    both = list(rates(schedule, 1.0))
    lr, momentum = zip(*both, strict=True)
    # Up over steps 0 to 2 and down over 2 to 9, along half a cosine each.
    assert lr[:3] == pytest.approx([0.2, 0.6, 1.0])
    assert lr[9] == pytest.approx(0.2 / 1e4)
    middle = (1.0 + 0.2 / 1e4) / 2
    assert (lr[5] + lr[6]) / 2 == pytest.approx(middle)
    assert momentum[0] == momentum[9] == pytest.approx(0.95)
    assert momentum[2] == pytest.approx(0.85)


def test_one_cycle_with_a_warm_up_of_one_step_begins_at_the_full_rate():
    lr = lr_of(OneCycleSchedule(epochs=10, warmup_fraction=0.1), 1.0)
    assert (lr[0], lr[9]) == pytest.approx((1.0, 1 / 25 / 1e4))
    assert (lr[4] + lr[5]) / 2 == pytest.approx((lr[0] + lr[9]) / 2)  # half a cosine


@pytest.mark.parametrize(
    "schedule",
    [
        CosineSchedule(epochs=5, warmup_epochs=1),
        StepSchedule(epochs=5, milestones=(2, 4), warmup_steps=3),
        PolySchedule(steps=19, power=0.9, warmup_steps=2),
        OneCycleSchedule(epochs=5),
    ],
)
@pytest.mark.parametrize("first", [1, 2, 7, 13])
def test_a_resumed_training_goes_on_with_the_same_rates(schedule, first, recwarn):
    whole = list(rates(schedule, 0.3, 4))
    assert list(rates(schedule, 0.3, 4, first=first)) == whole[first:]
    assert not recwarn.list

"""The learning rate of each step: timm's and PyTorch's schedules, set by the number of steps done.

Not mmengine's: those multiply the rate on from step to step, need more than one step of warm-up
and a rate above 0 to start from.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook
from timm.scheduler import CosineLRScheduler, MultiStepLRScheduler, PolyLRScheduler
from torch.optim.lr_scheduler import OneCycleLR

from mogabench.recipes.schedules import CosineSchedule, OneCycleSchedule, PolySchedule, StepSchedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmengine.runner import Runner
    from timm.scheduler.scheduler import Scheduler
    from torch.optim import Optimizer

    from mogabench.recipes.schedules import Schedule


class FollowSchedule(Hook):
    """Sets the recipe's learning rate before each step.

    Args:
        schedule: Its length and its rates.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def before_train(self, runner: Runner) -> None:
        """Sets the rate of the first step, or of the one a resumed training goes on with."""
        self.set_rate = rate_setter(
            self.schedule, runner.optim_wrapper.optimizer, runner.train_loop.steps_per_epoch
        )
        self.set_rate(runner.iter)

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Sets the rate of the next step."""
        if runner.iter + 1 < runner.max_iters:
            self.set_rate(runner.iter + 1)


def rate_setter(
    schedule: Schedule, optimizer: Optimizer, steps_per_epoch: int
) -> Callable[[int], None]:
    """What sets the optimizer's learning rates for the step of a number, counted from 0.

    Args:
        schedule: The recipe's.
        optimizer: Has the full rate, which a warm-up leads to, as its own.
        steps_per_epoch: Optimizer steps.

    Raises:
        TypeError: The schedule is of an unknown kind.
    """
    total = schedule.total_steps(steps_per_epoch)
    if isinstance(schedule, OneCycleSchedule):
        return _one_cycle(schedule, optimizer, total)
    kind, options = _in_timm(schedule, steps_per_epoch, total)
    set_rate: Callable[[int], None] = kind(optimizer, **options, t_in_epochs=False).step_update
    return set_rate


def _in_timm(
    schedule: Schedule, steps_per_epoch: int, total: int
) -> tuple[type[Scheduler], dict[str, Any]]:
    """timm's scheduler for a schedule, and its options in steps."""
    if isinstance(schedule, CosineSchedule):
        warmup = schedule.warmup_epochs * steps_per_epoch
        return CosineLRScheduler, {
            "t_initial": schedule.epochs * steps_per_epoch - warmup,
            "lr_min": schedule.min_lr,
            "warmup_t": warmup,
            "warmup_lr_init": schedule.warmup_lr,
            "warmup_prefix": True,
        }
    if isinstance(schedule, StepSchedule):
        return MultiStepLRScheduler, {
            # timm lowers the rate one step before the given one.
            "decay_t": [epoch * steps_per_epoch + 1 for epoch in schedule.milestones],
            "decay_rate": schedule.gamma,
            "warmup_t": schedule.warmup_steps,
            "warmup_lr_init": schedule.warmup_lr,
            "warmup_prefix": False,
        }
    if isinstance(schedule, PolySchedule):
        return PolyLRScheduler, {
            "t_initial": total - schedule.warmup_steps,
            "power": schedule.power,
            "lr_min": schedule.min_lr,
            "warmup_t": schedule.warmup_steps,
            "warmup_lr_init": schedule.warmup_lr,
            "warmup_prefix": True,
        }
    raise TypeError(f"no learning rate for {type(schedule).__name__}")


def _one_cycle(
    schedule: OneCycleSchedule, optimizer: Optimizer, total: int
) -> Callable[[int], None]:
    fraction = schedule.warmup_fraction
    if fraction * total == 1:  # PyTorch divides by the 0 steps that lead from the first to itself
        fraction *= 1 - 1e-9
    cycle = OneCycleLR(
        optimizer,
        # A resumed optimizer has the rate of its last step as "lr", and this as it was at first.
        max_lr=[
            group.get("max_lr", group["lr"] * group.get("lr_scale", 1.0))
            for group in optimizer.param_groups
        ],
        total_steps=total,
        pct_start=fraction,
        div_factor=schedule.div_factor,
        final_div_factor=schedule.final_div_factor,
    )

    def set_rate(step: int) -> None:
        cycle.last_epoch = step - 1
        with warnings.catch_warnings():
            # PyTorch takes the first call, which a resumed training makes, for one too early.
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            cycle.step()

    return set_rate

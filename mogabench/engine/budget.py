"""The longest training that ends in a given time, found by timing its steps."""

from __future__ import annotations

import gc
import logging
import math
import time
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import get_dist_info

from mogabench.checkpoints import save_checkpoint
from mogabench.engine.optimization import AverageWeights
from mogabench.engine.randomness import seed_everything
from mogabench.engine.runner import make_runner
from mogabench.engine.saving import CHECKPOINT, state_of
from mogabench.engine.schedule import FollowSchedule
from mogabench.engine.statistics import batches_to_measure, measure_statistics
from mogabench.errors import UserError
from mogabench.recipes.schedules import CosineSchedule, OneCycleSchedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mmengine.runner import Runner

    from mogabench.engine.job import Job
    from mogabench.engine.task import Setup

_LOG = logging.getLogger(__name__)

_FIRST_CALLS = 3
"""Calls before the timing, which compile the network and let cuDNN choose its kernels."""
_SECONDS = 2.0
"""The shortest timing."""
_CURVE_SECONDS = 1.0
"""An allowance to draw the curve, after each evaluation."""
_RESERVE = 0.1
"""The part of the time left that is kept for what is not timed, and for slower steps."""


@dataclass(frozen=True)
class Pace:
    """Seconds that the parts of a training take."""

    epoch: float
    evaluation: float
    statistics: float = 0.0
    """To measure the norms' statistics again, at the end."""

    def epochs_within(self, seconds: float, schedule: CosineSchedule | OneCycleSchedule) -> int:
        """The most epochs, up to the schedule's, that end in time with all that follows them.

        They do not include the cool-down. 0 where not even the shortest schedule fits.
        """
        lengths = range(_fewest_epochs(schedule), schedule.epochs + 1)
        in_time = (n for n in lengths if self.seconds(n, schedule) <= seconds)
        return max(in_time, default=0)

    def seconds(self, epochs: int, schedule: CosineSchedule | OneCycleSchedule) -> float:
        """What a training takes that is shortened to so many epochs."""
        total = epochs + _cooldown_epochs(schedule)
        evaluations = 1 + (total - 1) // schedule.evaluate_every
        return total * self.epoch + evaluations * self.evaluation + self.statistics


def _fewest_epochs(schedule: CosineSchedule | OneCycleSchedule) -> int:
    """The warm-up of a cosine is not shortened."""
    return 1 + (schedule.warmup_epochs if isinstance(schedule, CosineSchedule) else 0)


def _cooldown_epochs(schedule: CosineSchedule | OneCycleSchedule) -> int:
    return schedule.cooldown_epochs if isinstance(schedule, CosineSchedule) else 0


def shorten(job: Job[Any, Any], setup: Setup) -> Job[Any, Any]:
    """The job with as many epochs as end by its deadline, at most those of its recipe.

    Trains some steps, evaluates some batches and writes a checkpoint, all as the job will do it,
    and then puts the initial weights back.

    Args:
        job: Has a deadline.
        setup: What the task prepared for it.

    Raises:
        UserError: The schedule has no length in epochs that could be changed, there are several
            processes, or not even the shortest training fits.
    """
    assert job.recipe is not None and job.deadline is not None
    schedule = job.recipe.schedule
    if not isinstance(schedule, CosineSchedule | OneCycleSchedule):
        fields = "epochs and schedule.milestones" if schedule.policy == "step" else "steps"
        raise UserError(
            f"--time-budget cannot shorten the {schedule.policy} schedule of {job.recipe.name}; "
            f"change schedule.{fields} by --set"
        )
    if get_dist_info()[1] > 1:
        raise UserError("--time-budget works on one device; change schedule.epochs by --set")
    initial = deepcopy(setup.model.state_dict())
    with TemporaryDirectory(prefix="mogabench-") as folder:
        pace = _time(replace(job, work_dir=Path(folder)), setup)
    gc.collect()  # the optimizer's state, which a cycle keeps
    setup.model.load_state_dict(initial)
    seed_everything(job.seed)
    left = job.deadline - time.monotonic()
    usable = left * (1 - _RESERVE)
    epochs = pace.epochs_within(usable, schedule)
    took = f"an epoch takes {pace.epoch:.1f} s, an evaluation {pace.evaluation:.1f} s"
    if epochs < 1:
        fewest = _fewest_epochs(schedule)
        needed = pace.seconds(fewest, schedule) / (1 - _RESERVE)
        raise UserError(
            f"--time-budget is too short: {took}, so the shortest training, "
            f"{fewest + _cooldown_epochs(schedule)} epochs with warm-up and cool-down, needs "
            f"{needed:.0f} s, and {max(left, 0):.0f} s are left after timing them; give about "
            f"{math.ceil(needed - left)} s more"
        )
    _LOG.info("%s: %d of %d epochs in %.0f s", took, epochs, schedule.epochs, usable)
    return job if epochs == schedule.epochs else replace(job, recipe=job.recipe.with_epochs(epochs))


def _time(job: Job[Any, Any], setup: Setup) -> Pace:
    """Times the parts of the job, in its own folder and with its own model."""
    assert job.recipe is not None and job.work_dir is not None
    runner = make_runner(job, setup)
    loop, model = runner.train_loop, runner.model
    _call_hooks(runner, "before_run")
    _call_hooks(runner, "before_train")
    model.train()
    batches = loop.more_batches()

    def train() -> None:
        for _ in range(loop.accumulation):
            model.train_step(next(batches), optim_wrapper=runner.optim_wrapper)
        _call_hooks(runner, "after_train_iter", batch_idx=0)

    step = _seconds_per_call(train, job.device)
    start = _seconds_to_start(loop.more_batches())
    statistics = 0.0
    if count := batches_to_measure(job.recipe, loop.accumulation):
        batch = _seconds_per_call(lambda: measure_statistics(model, batches, 1), job.device)
        statistics = start + count * batch
    evaluation = _seconds_to_evaluate(runner, job.device)
    saving = _seconds_to_save(runner, job.work_dir / CHECKPOINT)
    return Pace(
        epoch=start + loop.steps_per_epoch * step + saving,
        evaluation=start + evaluation + _CURVE_SECONDS,
        statistics=statistics,
    )


def _call_hooks(runner: Runner, point: str, **given: Any) -> None:
    """Calls those that belong to a step: no other takes notable time, and some write files."""
    for hook in runner.hooks:
        if isinstance(hook, AverageWeights | FollowSchedule):
            getattr(hook, point)(runner, **given)


def _seconds_to_evaluate(runner: Runner, device: str) -> float:
    """The batches of an evaluation, of which some are timed."""
    model, loop = runner.model, runner.val_loop
    model.eval()
    # Not the last one, which may be smaller: where the network is compiled, it is so again for it.
    whole = max(len(loop.dataloader) - 1, 1)
    batches = chain.from_iterable(islice(loop.dataloader, whole) for _ in repeat(None))

    def evaluate() -> None:
        batch = next(batches)
        with torch.no_grad():
            loop.evaluator.process(model.val_step(batch), batch)

    seconds = _seconds_per_call(evaluate, device) * len(loop.dataloader)
    for metric in loop.evaluator.metrics:
        metric.results.clear()
    return seconds


def _seconds_to_save(runner: Runner, file: Path) -> float:
    """Saves a checkpoint, with the average."""
    began = time.monotonic()
    payload = state_of(runner)
    _call_hooks(runner, "before_save_checkpoint", checkpoint=payload)
    save_checkpoint(file, payload)
    return time.monotonic() - began


def _seconds_to_start(batches: Iterator[Any]) -> float:
    """Waits for the first batch."""
    began = time.monotonic()
    next(batches)
    return time.monotonic() - began


def _seconds_per_call(call: Callable[[], None], device: str) -> float:
    """Times the last of ever longer rounds; earlier ones use up what the loader had ready."""
    for _ in range(_FIRST_CALLS):
        call()
    calls, seconds = 2, 0.0
    while seconds < _SECONDS:
        calls, began = 2 * calls, _now(device)
        for _ in range(calls):
            call()
        seconds = _now(device) - began
    return seconds / calls


def _now(device: str) -> float:
    """Reads the clock once the device is idle."""
    if device != "cpu":
        torch.cuda.synchronize()
    return time.monotonic()

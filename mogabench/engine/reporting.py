"""Progress with an ETA, and notes on the outcome."""

from __future__ import annotations

import logging
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from mogabench.engine.processes import gather

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmengine.runner import Runner
    from torch import Tensor

    from mogabench.engine.loading import Loader

_LOG = logging.getLogger(__name__)
_BAR_PERIOD_S = 0.5
_LINE_PERIOD_S = 10.0


class ShowProgress(Hook):
    """Shows epoch, step, loss and ETA: a bar on a terminal, else lines.

    Args:
        quiet: Plain lines even on a terminal.
        plan: What a step of the training is; empty where there is none.
    """

    def __init__(self, *, quiet: bool, plan: str) -> None:
        self.plan = plan
        has_bar = sys.stderr.isatty() and not quiet
        self.period = _BAR_PERIOD_S if has_bar else _LINE_PERIOD_S
        self.bar = Progress(
            BarColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
            disable=not has_bar,
        )
        self.task = self.bar.add_task("loading data", total=None)
        self.shown = time.monotonic()

    def before_run(self, _: Runner) -> None:
        """Shows the bar."""
        self.bar.start()

    def before_train(self, runner: Runner) -> None:
        """Shows the plan and starts the clock of the ETA."""
        self.began, self.first = time.monotonic(), runner.iter
        going_on = f", going on after step {runner.iter}" if runner.iter else ""
        _LOG.info(f"training {runner.max_iters} steps{going_on}: {self.plan}")

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any, outputs: dict[str, Tensor]
    ) -> None:
        """Shows how far the training is."""
        if not self._is_due():
            return
        done, total = runner.iter + 1, runner.max_iters
        pace = (time.monotonic() - self.began) / (done - self.first)
        left = timedelta(seconds=round(pace * (total - done)))
        self._show(
            f"epoch {runner.epoch + 1}/{runner.max_epochs}, step {done}/{total}, "
            f"loss {float(outputs['loss']):.3f}, ETA {left}",
            done,
            total,
        )

    def after_val_iter(self, runner: Runner, batch_idx: int, *_: Any, **__: Any) -> None:
        """Shows how far the evaluation is."""
        if self._is_due():
            done, total = batch_idx + 1, len(runner.val_dataloader)
            self._show(f"evaluating, batch {done}/{total}", done, total)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Shows the metrics, where there are any."""
        if not metrics:
            return
        values = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        epoch = f"epoch {runner.epoch}/{runner.max_epochs}: " if runner.epoch else ""
        _LOG.info(f"{epoch}{values}")

    def close(self) -> None:
        """Removes the bar."""
        self.bar.stop()

    def _is_due(self) -> bool:
        return time.monotonic() - self.shown >= self.period

    def _show(self, text: str, done: int, total: int) -> None:
        self.shown = time.monotonic()
        if self.bar.disable:
            _LOG.info(text)
        else:
            self.bar.update(self.task, description=text, completed=done, total=total)


class Noting(Hook):
    """A hook with notes on the metrics; see `Outcome.notes`."""

    def notes(self) -> list[str]:
        """What a reader of the metrics must know, the same in every process."""
        raise NotImplementedError


class ImageNotes(Noting):
    """Notes which images could not be read, or were filled.

    Args:
        loaders: Those of the job.
    """

    def __init__(self, loaders: Sequence[Loader]) -> None:
        self.loaders = loaders

    def notes(self) -> list[str]:
        """A line for each kind and split."""
        lines = []
        for loader in self.loaders:
            errors = {error.name: error.filled for error in loader.errors.values()}
            gathered = {name: filled for part in gather(errors) for name, filled in part.items()}
            for filled, what in ((False, "cannot be read"), (True, "were truncated and filled")):
                names = sorted(name for name in gathered if gathered[name] == filled)
                if names:
                    split = loader.identity.split
                    lines.append(f"{len(names)} {split} image(s) {what}: {', '.join(names)}")
        return lines


class InputNotes(Noting):
    """Reports what was left out of data and weights or repaired, before the run and at its end.

    Args:
        lines: One for each kind, such as ``val: 3 boxes without an area were left out``.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = list(lines)

    def before_run(self, runner: Runner) -> None:
        """Shows the lines."""
        if runner.rank == 0:
            for line in self.lines:
                _LOG.info(line)

    def notes(self) -> list[str]:
        """The same for the record."""
        return self.lines

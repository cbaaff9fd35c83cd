"""What a person sees of a run: progress with an ETA, and images that cannot be read."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from mogabench.engine.loading import NONE, SKIPPED
from mogabench.errors import UserError

if TYPE_CHECKING:
    from mmengine.runner import Runner
    from torch import Tensor

    from mogabench.engine.splits import Split

_BAR_PERIOD_S = 0.5
_LINE_PERIOD_S = 10.0


class ShowProgress(Hook):
    """Tells epoch, step, loss and ETA on standard error: a bar on a terminal, else plain lines.

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
        """Tells the plan and starts the clock of the ETA."""
        self.began, self.first = time.monotonic(), runner.iter
        going_on = f", going on after step {runner.iter}" if runner.iter else ""
        self._tell(f"training {runner.max_iters} steps{going_on}: {self.plan}")

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any, outputs: dict[str, Tensor]
    ) -> None:
        """Tells how far the training is."""
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
        """Tells how far the evaluation is."""
        if self._is_due():
            done, total = batch_idx + 1, len(runner.val_dataloader)
            self._show(f"evaluating, batch {done}/{total}", done, total)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Tells the metrics."""
        told = ", ".join(f"{name} {value:.2f}" for name, value in metrics.items())
        epoch = f"epoch {runner.epoch}/{runner.max_epochs}: " if runner.epoch else ""
        self._tell(f"{epoch}{told}")

    def close(self) -> None:
        """Removes the bar."""
        self.bar.stop()

    @staticmethod
    def _tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def _is_due(self) -> bool:
        return time.monotonic() - self.shown >= self.period

    def _show(self, text: str, done: int, total: int) -> None:
        self.shown = time.monotonic()
        if self.bar.disable:
            self._tell(text)
        else:
            self.bar.update(self.task, description=text, completed=done, total=total)


class UnreadableImages(Hook):
    """Names every image that cannot be read once, and stops the run if it must.

    Args:
        training: The images to train on.
        evaluation: The images to evaluate on.
        on_bad_image: ``skip`` or ``fail``.
    """

    def __init__(self, training: Split | None, evaluation: Split, on_bad_image: str) -> None:
        self.training, self.evaluation = training, evaluation
        self.on_bad_image = on_bad_image
        self.skipped: dict[str, set[str]] = {"train": set(), "validation": set()}

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: tuple[dict[str, Tensor], ...]
    ) -> None:
        """Looks through the batches of a step."""
        assert self.training is not None
        for batch in data_batch:
            self._note(batch, self.training)
            if (batch["labels"] == SKIPPED).any():
                raise UserError(
                    f"most images of {self.training.identity.name} cannot be read, such as "
                    f"{min(self.skipped['train'])}"
                )

    def before_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Tensor]
    ) -> None:
        """Looks through a batch."""
        self._note(data_batch, self.evaluation)

    def _note(self, batch: dict[str, Tensor], split: Split) -> None:
        known = self.skipped[split.identity.split]
        for index in batch["unreadable"][batch["unreadable"] != NONE].tolist():
            name = split.name_of(index)
            if self.on_bad_image == "fail":
                raise UserError(f"cannot read the image {name}")
            if name not in known:
                known.add(name)
                print(f"skipped, because it cannot be read: {name}", file=sys.stderr, flush=True)

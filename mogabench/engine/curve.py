"""The curve of a training: loss, learning rate and metrics, as data and as a picture."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any

import torch
from mmengine.hooks import Hook

from mogabench.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from mmengine.runner import Runner
    from torch import Tensor

CURVE, PICTURE = "curve.jsonl", "curve.png"
"""The files in the work folder."""

_LOGARITHMIC = ("loss", "lr")
_POINTS = 500
"""Of the loss, over the whole training; one more ends each epoch."""

Point = dict[str, float]
"""Values by name after so many steps, ``step``: those of a training step, or metrics."""


class KeepCurve(Hook):
    """Writes the curve with each checkpoint, in which it goes on after an interruption.

    In the place of mmengine's own logging, which fetches the loss from the device in every step
    and so makes each step wait for the one before.

    Args:
        folder: Where the files go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.points: list[Point] = []
        self.losses: list[dict[str, Tensor]] = []

    def before_train(self, runner: Runner) -> None:
        """Decides how many steps make a point."""
        self.every = math.ceil(runner.max_iters / _POINTS)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any, outputs: dict[str, Tensor]
    ) -> None:
        """Takes the losses of a step, and after some steps their means."""
        self.losses.append(outputs)
        self.rate = max(group["lr"] for group in runner.optim_wrapper.optimizer.param_groups)
        if (runner.iter + 1) % self.every == 0:
            self._make_point(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Takes the means of the steps since the last point, before an evaluation may follow."""
        if self.losses:
            self._make_point(runner, runner.iter)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Adds the metrics and draws the curve so far."""
        if runner.rank == 0:
            self.points.append({"step": runner.iter, **metrics})
            self._write()
            write_whole(self.folder / PICTURE, draw(self.points))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Puts the curve up to here into the checkpoint."""
        self._write()
        checkpoint["curve"] = self.points

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Goes on with the curve of the checkpoint."""
        self.points = checkpoint["curve"]

    def _make_point(self, runner: Runner, step: int) -> None:
        means = _means(self.losses)  # finite where they are of the loss; see `LossCheck`
        self.losses.clear()
        known = {name: value for name, value in means.items() if math.isfinite(value)}
        self.points.append({"step": step, "lr": self.rate, **known})

    def _write(self) -> None:
        lines = [json.dumps(point) + "\n" for point in self.points]
        write_whole(self.folder / CURVE, "".join(lines))


def draw(points: list[Point]) -> bytes:
    """A PNG file with the loss, the learning rate and each metric, one below the other."""
    from matplotlib.figure import Figure

    evaluations = [point for point in points if "lr" not in point]
    names = ["loss", "lr", *(name for name in evaluations[0] if name != "step")]
    figure = Figure(figsize=(7, 1.8 * len(names)), layout="constrained", dpi=100)
    panels = figure.subplots(len(names), sharex=True)
    for name, axes in zip(names, panels, strict=True):
        steps, values = zip(*((p["step"], p[name]) for p in points if name in p), strict=True)
        axes.plot(steps, values, marker="o" if name not in _LOGARITHMIC else "", markersize=3)
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
        if name in _LOGARITHMIC:
            axes.set_yscale("log")
    panels[-1].set_xlabel("step")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _means(losses: list[dict[str, Tensor]]) -> Point:
    """The mean of each loss, fetched from the device."""
    names = dict.fromkeys(name for step in losses for name in step)
    return {
        name: torch.stack([step[name] for step in losses if name in step]).mean().item()
        for name in names
    }

"""How good predicted frames are: MSE, MAE, SSIM and PSNR, and a baseline beside them.

OpenSTL's own evaluation differs in two places: it clips predictions for SSIM and PSNR only, and
its SSIM is scikit-image's of old by default, the mean of 7x7 windows for a data range of 2, which
is higher for the same frames.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from mmengine.evaluator import BaseMetric

from mogabench.engine.environment import gather
from mogabench.engine.reporting import Noting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

METRICS = ("mse", "mae", "ssim", "psnr")

_WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03


def frame_quality(predicted: Tensor, true: Tensor) -> dict[str, Tensor]:
    """The metrics of single frames, the predicted ones clipped to [0, 1].

    Args:
        predicted: Frames ``(..., C, H, W)``.
        true: The same shape, within [0, 1].

    Returns:
        By name, each ``(...)`` in float64: ``mse`` and ``mae`` summed over the pixels of a frame
        (Table A14 has them so), ``ssim`` as of `structural_similarity`, and ``psnr`` in dB.
    """
    predicted, true = predicted.double().clamp(0, 1), true.double()
    error = predicted - true
    squares = error.square().flatten(-3)
    return {
        "mse": squares.sum(-1),
        "mae": error.abs().flatten(-3).sum(-1),
        "ssim": structural_similarity(predicted, true).mean(-1),
        "psnr": -10 * squares.mean(-1).log10(),
    }


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """SSIM of channels (Wang et al., 2004) for a data range of 1.

    The window is Gaussian, 11x11 with sigma 1.5, and stays within the frame.

    Args:
        first: Channels ``(..., H, W)`` in float64.
        second: The same shape.

    Returns:
        One figure for each channel, ``(...)``.
    """
    moments = torch.stack([first, second, first**2, second**2, first * second])
    mean1, mean2, square1, square2, product = _blur(moments)
    variance1, variance2 = square1 - mean1**2, square2 - mean2**2
    covariance = product - mean1 * mean2
    likeness = (2 * mean1 * mean2 + _K1**2) * (2 * covariance + _K2**2)
    scale = (mean1**2 + mean2**2 + _K1**2) * (variance1 + variance2 + _K2**2)
    similarity: Tensor = (likeness / scale).mean((-2, -1))
    return similarity


def _blur(maps: Tensor) -> Tensor:
    """Weighted means over the windows within ``(..., H, W)``: a matrix product for each axis."""
    height, width = maps.shape[-2:]
    return _windows(height, maps.device) @ maps @ _windows(width, maps.device).T


@cache
def _windows(length: int, device: torch.device) -> Tensor:
    """The windows over ``length`` pixels as rows, ``(length - 10, length)``."""
    offsets = torch.arange(_WINDOW, dtype=torch.float64, device=device) - _WINDOW // 2
    weights = torch.exp(-0.5 * (offsets / _SIGMA) ** 2)
    windows = torch.zeros(length - _WINDOW + 1, length, dtype=torch.float64, device=device)
    for start, row in enumerate(windows):
        row[start : start + _WINDOW] = weights / weights.sum()
    return windows


class FrameQuality(BaseMetric):
    """Means of the frames' metrics, and the same for copies of the last frame seen.

    Attributes:
        baseline: By metric, what copying gives; set by each evaluation.
    """

    default_prefix = ""

    def __init__(self) -> None:
        super().__init__()
        self.baseline: dict[str, float] = {}

    def process(self, data_batch: dict[str, Tensor], data_samples: Sequence[Tensor]) -> None:
        """Notes for each sequence of a batch its metrics, then those of the baseline."""
        predicted = torch.stack(list(data_samples))
        frames = data_batch["frames"].to(predicted.device).double() / 255
        seen, future = frames.chunk(2, dim=1)
        for frame in (predicted, seen[:, -1:].expand_as(future)):
            by_name = frame_quality(frame, future)
            rows = torch.stack([by_name[name].mean(1) for name in METRICS], dim=1)
            self.results.append(rows.tolist())

    def evaluate(self, size: int) -> dict[str, float]:
        """The means over the sequences of all processes.

        Args:
            size: Not needed: no process evaluates a sequence twice.
        """
        found = [batch for results in gather(self.results) for batch in results]
        self.results.clear()
        self.baseline = self.compute_metrics(found[1::2])
        return self.compute_metrics(found[::2])

    def compute_metrics(self, results: list[list[list[float]]]) -> dict[str, float]:
        """The means by name, from batches of rows with a figure for each metric."""
        rows = torch.tensor([row for batch in results for row in batch], dtype=torch.float64)
        return dict(zip(METRICS, rows.mean(0).tolist(), strict=True))


class Baseline(Noting):
    """Tells what copying the last frame seen would give.

    Args:
        metric: Measures it.
        own_notes: What else a reader must know.
    """

    def __init__(self, metric: FrameQuality, own_notes: Sequence[str] = ()) -> None:
        self.metric, self.own_notes = metric, own_notes

    def notes(self) -> list[str]:
        """The baseline's metrics."""
        told = ", ".join(f"{name} {value:.4g}" for name, value in self.metric.baseline.items())
        return [*self.own_notes, f"copying the last frame seen gives {told}"]

"""MSE, MAE, SSIM and PSNR of predicted frames, and of a baseline.

MSE, MAE and SSIM are as the released code for Table A14 (``video_prediction/`` in MogaNet's
repository, later OpenSTL) computes them, so that they may stand beside the printed figures: MSE and
MAE of predictions as they are, SSIM of predictions clipped to [0, 1], by what scikit-image 0.19 did
by default. PSNR, of clipped ones too, is that of OpenSTL's tables; Table A14 has none, and the
released code subtracts bytes for it, which wrap around.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from mogabench.engine.metric import GatheredMetric
from mogabench.engine.reporting import Noting
from mogabench.tasks.video.frames import split_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

METRICS = ("mse", "mae", "ssim", "psnr")

_WINDOW = 7
_DATA_RANGE = 2.0
"""scikit-image took [-1, 1] for the range of any floating-point image."""
_C1, _C2 = (0.01 * _DATA_RANGE) ** 2, (0.03 * _DATA_RANGE) ** 2


def frame_quality(predicted: Tensor, true: Tensor) -> dict[str, Tensor]:
    """The metrics of single frames.

    Args:
        predicted: Frames ``(..., C, H, W)``, of any values.
        true: The same shape, within [0, 1].

    Returns:
        By name, each ``(...)`` in float64: ``mse`` and ``mae`` summed over the pixels of a frame
        (Table A14 has them so), ``ssim`` as of `structural_similarity`, and ``psnr`` in dB, 100 for
        a frame without an error, which would be infinity.
    """
    predicted, true = predicted.double(), true.double()
    error = predicted - true
    clipped = predicted.clamp(0, 1)
    return {
        "mse": error.square().flatten(-3).sum(-1),
        "mae": error.abs().flatten(-3).sum(-1),
        "ssim": structural_similarity(clipped, true).mean(-1),
        "psnr": -10 * (clipped - true).square().flatten(-3).mean(-1).clamp_min(1e-10).log10(),
    }


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """SSIM of channels (Wang et al., 2004), with plain windows of 7x7 that stay within the frame.

    The data range is 2, variances are those of samples: scikit-image's defaults for floating-point
    images up to 0.19, which Table A14 was evaluated with. A data range of 1 gives lower figures.

    Args:
        first: Channels ``(..., H, W)`` in float64.
        second: The same shape.

    Returns:
        One figure for each channel, ``(...)``.
    """
    moments = torch.stack([first, second, first**2, second**2, first * second])
    mean1, mean2, square1, square2, product = _window_means(moments)
    unbiased = _WINDOW**2 / (_WINDOW**2 - 1)
    variances = unbiased * (square1 - mean1**2 + square2 - mean2**2)
    covariance = unbiased * (product - mean1 * mean2)
    likeness = (2 * mean1 * mean2 + _C1) * (2 * covariance + _C2)
    scale = (mean1**2 + mean2**2 + _C1) * (variances + _C2)
    similarity: Tensor = (likeness / scale).mean((-2, -1))
    return similarity


def _window_means(maps: Tensor) -> Tensor:
    """Means over the windows within ``(..., H, W)``."""
    means = functional.avg_pool2d(maps.flatten(0, -3), _WINDOW, stride=1)
    unflattened: Tensor = means.unflatten(0, maps.shape[:-2])
    return unflattened


class Batch(NamedTuple):
    """What is noted of a batch.

    Attributes:
        ours: A row for each sequence, with the prediction's figure for each metric; none where it
            is not known what came.
        copies: The same for copies of the last frame seen.
        predicted: By the sequences' places in the split, the frames ``(T, C, H, W)`` in float32;
            empty where no predictions are to be written.
    """

    ours: list[list[float]]
    copies: list[list[float]]
    predicted: dict[int, NDArray[np.float32]]


class FrameQuality(GatheredMetric):
    """Means of the frames' metrics, and the same for copies of the last frame seen.

    Attributes:
        baseline: By metric, what copying gives; set by each evaluation.

    Args:
        seen: Frames of a sequence that are no part of the prediction.
    """

    def __init__(self, seen: int) -> None:
        super().__init__()
        self.seen = seen
        self.baseline: dict[str, float] = {}

    def process(self, data_batch: dict[str, Tensor], data_samples: Sequence[Tensor]) -> None:
        """Notes the metrics of a batch, and its frames where they are to be written."""
        predicted = torch.stack(list(data_samples))
        ours: list[list[float]] = []
        copies: list[list[float]] = []
        if self.annotated:
            seen, future = split_frames(data_batch["frames"].to(predicted.device), self.seen)
            ours, copies = (_rows(frame, future) for frame in (predicted, seen[:, -1:]))
        frames: dict[int, NDArray[np.float32]] = {}
        if self.predictions is not None:
            places = data_batch["index"].tolist()
            frames = dict(zip(places, predicted.float().cpu().numpy(), strict=True))
        self.results.append(Batch(ours, copies, frames))

    def compute_metrics(self, results: list[Batch]) -> dict[str, float]:
        """The means by name; those of the baseline become the attribute."""
        self.baseline = _means(batch.copies for batch in results)
        return _means(batch.ours for batch in results)

    def encode(self, results: list[Batch]) -> bytes:
        """A ``.npy`` file of the predicted frames ``(N, T, C, H, W)`` in float32.

        They are as the network gives them, not clipped, in the split's order; NaN where a sequence
        could not be read.
        """
        predicted = {place: one for batch in results for place, one in batch.predicted.items()}
        count = len(predicted) + len(self.left_out)
        frames = np.full((count, *next(iter(predicted.values())).shape), np.nan, np.float32)
        for place, one in predicted.items():
            frames[place] = one
        content = io.BytesIO()
        np.save(content, frames)
        return content.getvalue()


def _rows(predicted: Tensor, future: Tensor) -> list[list[float]]:
    """A row for each sequence, with a figure for each metric."""
    by_name = frame_quality(predicted.expand_as(future), future)
    rows: list[list[float]] = torch.stack([by_name[m].mean(1) for m in METRICS], dim=1).tolist()
    return rows


def _means(batches: Iterable[list[list[float]]]) -> dict[str, float]:
    rows = torch.tensor([row for batch in batches for row in batch], dtype=torch.float64)
    return dict(zip(METRICS, rows.mean(0).tolist(), strict=True))


class Baseline(Noting):
    """Notes what copying the last frame seen would give.

    Args:
        metric: Measures it.
        own_notes: What else a reader must know.
    """

    def __init__(self, metric: FrameQuality, own_notes: Sequence[str]) -> None:
        self.metric, self.own_notes = metric, own_notes

    def notes(self) -> list[str]:
        """The baseline's metrics, if any were measured."""
        if not self.metric.baseline:
            return list(self.own_notes)
        values = ", ".join(f"{name} {value:.4g}" for name, value in self.metric.baseline.items())
        return [*self.own_notes, f"copying the last frame seen gives {values}"]

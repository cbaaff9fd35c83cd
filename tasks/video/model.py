"""SimVP in training and evaluation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mogabench.engine.model import Trained
from mogabench.tasks.video.frames import split_frames

_TEMPERATURE = 0.1
"""What a change between frames is divided by before the softmax."""

_LEAST = 1e-12
"""Keeps quotient and logarithm finite."""


class FramePredictor(Trained):
    """A network with its loss.

    Batches are frames ``(B, T + T', C, H, W)``: the first are seen, the others to be predicted. To
    predict without comparing, the first are enough.

    Args:
        network: Maps past frames ``(B, T, C, H, W)`` to as many future ones.
        seen: ``T``.
        predicted: ``T'``.
        divergence: Weight of `differential_divergence` in the loss; None leaves it out.
    """

    uses_cuda_graphs = True

    def __init__(
        self, network: nn.Module, seen: int, predicted: int, divergence: float | None = None
    ) -> None:
        super().__init__(network, {"type": "BaseDataPreprocessor", "non_blocking": True})
        self.seen, self.predicted, self.divergence = seen, predicted, divergence

    def loss(self, frames: Tensor) -> dict[str, Tensor]:
        """The mean squared error, and the differential divergence by its weight."""
        seen, future = split_frames(frames, self.seen)
        predicted = self.continued(seen)
        loss = nn.functional.mse_loss(predicted, future)
        if self.divergence is not None:
            loss = loss + self.divergence * differential_divergence(predicted, future)
        return {"loss": loss}

    def predict(self, frames: Tensor, **_: Any) -> Tensor:
        """The predicted frames ``(B, T', C, H, W)``."""
        return self.continued(split_frames(frames, self.seen)[0])

    def continued(self, seen: Tensor) -> Tensor:
        """The frames after those seen; what the network predicts is its input for more.

        Args:
            seen: Frames ``(B, T, C, H, W)``.

        Returns:
            Frames ``(B, T', C, H, W)`` in float32.
        """
        parts = [self.run(seen).float()]
        while self.seen * len(parts) < self.predicted:
            parts[-1] = parts[-1].clone()  # a CUDA graph writes its next outputs to the same place
            parts.append(self.run(parts[-1]).float())
        frames = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        return frames[:, : self.predicted]


def differential_divergence(predicted: Tensor, future: Tensor) -> Tensor:
    """How the changes from frame to frame differ in where they are (TAU; Tan et al., CVPR 2023).

    The softmax over a frame's pixels makes a distribution of each change; the value is the mean of
    the terms of their Kullback-Leibler divergence, which OpenSTL does not add up over pixels.

    Args:
        predicted: Frames ``(B, T, C, H, W)``.
        future: The true ones.

    Returns:
        A scalar; 0 where ``T`` is 1 or 2, as in OpenSTL.
    """
    if predicted.shape[1] <= 2:
        return predicted.new_zeros(())
    ours, theirs = (
        (frames.diff(dim=1).flatten(2) / _TEMPERATURE).softmax(-1) for frames in (predicted, future)
    )
    return (ours * torch.log(ours / (theirs + _LEAST) + _LEAST)).mean()

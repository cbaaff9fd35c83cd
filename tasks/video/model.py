"""SimVP in training and evaluation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mogabench.engine.model import Trained
from mogabench.tasks.video.frames import split_frames


class Predictor(Trained):
    """A network with its loss.

    Batches are frames ``(B, T + T', C, H, W)``: the first are seen, the others to be predicted. To
    predict without comparing, the first are enough.

    Args:
        network: Maps past frames ``(B, T, C, H, W)`` to as many future ones.
        seen: ``T``.
        predicted: ``T'``.
    """

    uses_cuda_graphs = True

    def __init__(self, network: nn.Module, seen: int, predicted: int) -> None:
        super().__init__(network, {"type": "BaseDataPreprocessor", "non_blocking": True})
        self.seen, self.predicted = seen, predicted

    def loss(self, frames: Tensor) -> dict[str, Tensor]:
        """The mean squared error."""
        seen, future = split_frames(frames, self.seen)
        return {"loss": nn.functional.mse_loss(self.continued(seen), future)}

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

"""SimVP as mmengine trains and evaluates it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

if TYPE_CHECKING:
    from mogabench.engine.job import Job


class Predictor(BaseModel):
    """A network with precision, layout and loss.

    Args:
        network: Maps past frames ``(B, T, C, H, W)`` to future ones.
        job: Decides precision and layout.
    """

    def __init__(self, network: nn.Module, job: Job) -> None:
        super().__init__({"type": "BaseDataPreprocessor", "non_blocking": True})
        layout = torch.channels_last if job.channels_last else torch.contiguous_format
        self.network = network.to(memory_format=layout)
        self.amp: torch.dtype | None = getattr(torch, job.amp) if job.amp else None

    def forward(self, frames: Tensor, mode: str = "tensor") -> Tensor | dict[str, Tensor]:
        """The mean squared error in mode ``loss``, else the predicted frames.

        Args:
            frames: Bytes ``(B, 2T, C, H, W)``; the first half is seen, the second to be predicted.
            mode: mmengine's ``loss``, ``predict`` or ``tensor``.
        """
        seen, future = (frames.float() / 255).chunk(2, dim=1)
        with torch.autocast(frames.device.type, self.amp, enabled=self.amp is not None):
            predicted: Tensor = self.network(seen)
        predicted = predicted.float()
        if mode == "loss":
            return {"loss": nn.functional.mse_loss(predicted, future)}
        return predicted

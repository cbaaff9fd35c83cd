"""A pose network as mmengine trains and evaluates it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mogabench.pose.heatmaps import decode
from mogabench.pose.skeleton import MIRRORED, STRIDE

if TYPE_CHECKING:
    from torch import nn

    from mogabench.engine.job import Job
    from mogabench.recipes.pose_schema import PoseTest


class PoseEstimator(BaseModel):
    """A network with its loss, the flip test and autocast.

    Args:
        network: Maps images ``(N, 3, H, W)`` to heat maps ``(N, 17, H/4, W/4)``.
        job: Decides precision and layout.
        test: How heat maps become key points.
    """

    def __init__(self, network: nn.Module, job: Job, test: PoseTest) -> None:
        super().__init__()
        self.layout = torch.channels_last if job.channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self.layout)
        self.amp: torch.dtype | None = getattr(torch, job.amp) if job.amp else None
        self.test = test

    def forward(
        self,
        inputs: Tensor,
        targets: Tensor | None = None,
        weights: Tensor | None = None,
        mode: str = "tensor",
        **_: Any,
    ) -> Tensor | dict[str, Tensor]:
        """The loss in mode ``loss``, key points in mode ``predict``, else heat maps.

        Args:
            inputs: Pictures ``(N, 3, H, W)``.
            targets: Heat maps ``(N, 17, H/4, W/4)`` to learn.
            weights: ``(N, 17)``, 0 for key points that do not count.
            mode: mmengine's ``loss``, ``predict`` or ``tensor``.

        Returns:
            Key points are ``(N, 17, 3)``: x and y in pixels of the picture, and how sure.
        """
        heatmaps = self._heatmaps(inputs)
        if mode == "loss":
            assert targets is not None and weights is not None
            return {"loss": joints_mse(heatmaps, targets, weights)}
        if mode == "tensor":
            return heatmaps
        if self.test.flip:
            heatmaps = (heatmaps + unflipped(self._heatmaps(inputs.flip(3)))) / 2
        found = decode(heatmaps, self.test.decoding)
        return found * found.new_tensor([STRIDE, STRIDE, 1])

    def _heatmaps(self, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, self.amp, enabled=self.amp is not None):
            heatmaps: Tensor = self.network(inputs.to(memory_format=self.layout))
        return heatmaps.float()


def joints_mse(heatmaps: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The mean squared error over all cells, those of weight 0 counted as right.

    Args:
        heatmaps: ``(N, 17, H, W)``.
        targets: The same.
        weights: ``(N, 17)``.
    """
    return ((heatmaps - targets) * weights[..., None, None]).square().mean()


def unflipped(heatmaps: Tensor) -> Tensor:
    """Heat maps ``(N, 17, H, W)`` of mirrored pictures as those of the pictures themselves.

    They go one cell to the right: by convolutions of stride 2 a mirrored picture's features lie
    beside the picture's own (Xiao et al., 2018). The first column stays as it is.
    """
    back = heatmaps[:, list(MIRRORED)].flip(3)
    return torch.cat([back[..., :1], back[..., :-1]], dim=3)

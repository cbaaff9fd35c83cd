"""A pose network in training and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mogabench.engine.model import Trained
from mogabench.tasks.pose.heatmaps import SIGMA, decode
from mogabench.tasks.pose.recipe import PoseTest
from mogabench.tasks.pose.skeleton import MIRRORED, STRIDE

if TYPE_CHECKING:
    from torch import nn

    from mogabench.tasks.pose.recipe import PoseRecipe


class PoseEstimator(Trained):
    """A network with its loss and the flip test.

    Args:
        network: Maps images ``(N, 3, H, W)`` to heat maps ``(N, 17, H/4, W/4)``.
        recipe: How heat maps are made and become key points; None for the usual ways.
    """

    def __init__(self, network: nn.Module, recipe: PoseRecipe | None) -> None:
        super().__init__(network)
        self.test = recipe.test if recipe else PoseTest()
        self.sigma = recipe.targets.sigma if recipe else SIGMA

    def loss(self, inputs: Tensor, targets: Tensor, weights: Tensor, **_: Any) -> dict[str, Tensor]:
        """The error of the heat maps.

        Args:
            inputs: Pictures ``(N, 3, H, W)``.
            targets: Heat maps ``(N, 17, H/4, W/4)`` to learn.
            weights: ``(N, 17)``, 0 for key points that do not count.
            **_: What else the loader gave.
        """
        return {"loss": joints_mse(self.run(inputs).float(), targets, weights)}

    def predict(self, inputs: Tensor, **_: Any) -> Tensor:
        """Key points ``(N, 17, 3)``: x and y in pixels of the picture, and how sure."""
        heatmaps = self.run(inputs).float()
        if self.test.flip:
            heatmaps = (heatmaps + unflip(self.run(inputs.flip(3)).float())) / 2
        found = decode(heatmaps, self.test.decoding, sigma=self.sigma)
        return found * found.new_tensor([STRIDE, STRIDE, 1])


def joints_mse(heatmaps: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The mean squared error over all cells, those of weight 0 counted as right.

    Args:
        heatmaps: ``(N, 17, H, W)``.
        targets: The same.
        weights: ``(N, 17)``.
    """
    return ((heatmaps - targets) * weights[..., None, None]).square().mean()


def unflip(heatmaps: Tensor) -> Tensor:
    """Heat maps ``(N, 17, H, W)`` of mirrored pictures as those of the pictures themselves.

    They go one cell to the right: by convolutions of stride 2 a mirrored picture's features lie
    beside the picture's own (Xiao et al., 2018). The first column stays as it is.
    """
    back = heatmaps[:, list(MIRRORED)].flip(3)
    return torch.cat([back[..., :1], back[..., :-1]], dim=3)

"""ExPose's regressor (Choutas et al., ECCV 2020) over any backbone of timm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mogabench.catalogue import create_network
from mogabench.errors import UserError
from mogabench.tasks.mesh.code import CODES

if TYPE_CHECKING:
    from mogabench.subject import Subject
    from mogabench.tasks.mesh.code import Code

_HIDDEN = 1024
_DROPOUT = 0.5
_ITERATIONS = 3
_GAIN = 0.01
"""Of the last layer's first weights: the first estimates stay near the mean."""


class MeshNetwork(nn.Module):
    """Maps a picture to the vector that `Code` describes.

    Args:
        backbone: Maps pictures to features ``(N, channels)``, averaged over all places.
        channels: Of the features.
        code: What the vector says.
    """

    def __init__(self, backbone: nn.Module, channels: int, code: Code) -> None:
        super().__init__()
        self.backbone = backbone
        self.regressor = IterativeRegressor(channels, code.start())

    def forward(self, images: Tensor) -> Tensor:
        """Maps images ``(N, 3, H, W)`` to vectors ``(N, code.width)``."""
        vectors: Tensor = self.regressor(self.backbone(images))
        return vectors


class IterativeRegressor(nn.Module):
    """Refines an estimate in three passes through one perceptron.

    Args:
        channels: Of the features.
        start: The estimate at first, ``(width,)``; a buffer, so it is saved with the weights.
    """

    start: Tensor

    def __init__(self, channels: int, start: Tensor) -> None:
        super().__init__()
        self.register_buffer("start", start)
        last = nn.Linear(_HIDDEN, len(start))
        nn.init.xavier_uniform_(last.weight, gain=_GAIN)
        nn.init.zeros_(last.bias)
        self.perceptron = nn.Sequential(
            nn.Linear(channels + len(start), _HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(_DROPOUT),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(_DROPOUT),
            last,
        )

    def forward(self, features: Tensor) -> Tensor:
        """Maps features ``(N, channels)`` to estimates ``(N, width)``."""
        estimate = self.start.expand(len(features), -1)
        for _ in range(_ITERATIONS):
            estimate = estimate + self.perceptron(torch.cat([features, estimate], dim=1))
        return estimate


def build_network(subject: Subject, **options: Any) -> MeshNetwork:
    """The subject's network with random weights.

    Args:
        subject: Gives method, backbone, input size and the backbone's options.
        **options: More of them, such as ``drop_path_rate``.

    Raises:
        UserError: timm has no such backbone, it has no such option or does not say its width, or
            the pictures are not square.
    """
    height, width = subject.input_size
    if height != width:
        # The camera has one scale for both axes, in half widths of the picture.
        raise UserError(f"a mesh network's pictures are square, not {height}x{width}")
    given = options | dict(subject.options) | {"num_classes": 0}
    backbone: Any = create_network(subject.backbone, given, subject.input_size)
    channels = getattr(backbone, "head_hidden_size", getattr(backbone, "num_features", None))
    if channels is None:
        raise UserError(
            f"{subject.backbone} does not say how many features it gives without a classifier: it "
            "needs an attribute num_features, as timm's networks have"
        )
    return MeshNetwork(backbone, channels, CODES[subject.method])

"""SimpleBaseline (Xiao et al., 2018): a backbone, deconvolutions, a heat map per key point."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from timm.layers.format import Format
from timm.models.efficientnet import EfficientNetFeatures
from timm.models.hrnet import HighResolutionNetFeatures
from torch import Tensor, nn

from mogabench.catalogue import create_network
from mogabench.errors import UserError
from mogabench.openmmlab.pyramid import norm_after, without_decay
from mogabench.tasks.pose.released import translate_released
from mogabench.tasks.pose.skeleton import KEYPOINTS, STRIDE

if TYPE_CHECKING:
    from collections.abc import Collection

    from mogabench.subject import Subject

_WIDTH = 256
"""Channels of each deconvolution."""

_COARSEST = 32
"""The largest stride of a backbone, in pixels."""


class PoseNetwork(nn.Module):
    """Maps a person's picture to one heat map per key point, at a quarter of its resolution.

    Its parameters are named as mmpose 0.x names them.

    Args:
        backbone: Gives feature maps, or just the last one; RSN's are the heat maps themselves.
        channels: Of the last map.
        stride: Pixels of the picture per cell of that map.
        norm: What the last map goes through, in ``(N, C, H, W)``.
        without_decay: The backbone's parameters that weight decay spares, by their names there.
    """

    def __init__(
        self,
        backbone: nn.Module,
        channels: int,
        stride: int,
        norm: nn.Module,
        without_decay: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.without_decay = without_decay
        self.backbone = backbone
        self.norm = norm
        self.channels_last = getattr(backbone, "output_fmt", None) == Format.NHWC
        gives_heatmaps = (channels, stride) == (len(KEYPOINTS), STRIDE)
        self.keypoint_head = nn.Identity() if gives_heatmaps else KeypointHead(channels, stride)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images ``(N, 3, H, W)`` to heat maps ``(N, 17, H/4, W/4)``."""
        maps = self.backbone(images)
        features = maps[-1] if isinstance(maps, list) else maps
        if self.channels_last:
            features = features.permute(0, 3, 1, 2)
        heatmaps: Tensor = self.keypoint_head(self.norm(features))
        return heatmaps

    def no_weight_decay(self) -> set[str]:
        """Names of parameters to keep from weight decay: those that the whole backbone names."""
        return {f"backbone.{name}" for name in self.without_decay}

    def translate_weights(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weights of a file by this network's names; see `translate_released`."""
        return translate_released(weights)


class KeypointHead(nn.Module):
    """Deconvolutions from the backbone's resolution to the heat maps', then a 1x1 convolution.

    From stride 32 that makes SimpleBaseline's three; HRNet's finest branch, at stride 4, needs
    none, as published.

    Args:
        channels: Of the backbone's map.
        stride: Pixels of the image per cell of that map.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        widths = [channels] + [_WIDTH] * round(math.log2(stride / STRIDE))
        self.deconv_layers = nn.Sequential(
            *(layer for inside, outside in pairwise(widths) for layer in _doubling(inside, outside))
        )
        self.final_layer = nn.Conv2d(widths[-1], len(KEYPOINTS), 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.001)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Maps features ``(N, C, H, W)`` at the stride to heat maps ``(N, 17, H', W')``."""
        heatmaps: Tensor = self.final_layer(self.deconv_layers(features))
        return heatmaps


def _doubling(inside: int, outside: int) -> tuple[nn.Module, ...]:
    return (
        nn.ConvTranspose2d(inside, outside, kernel_size=4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


def build_network(subject: Subject, **options: Any) -> PoseNetwork:
    """The subject's network with random weights.

    Args:
        subject: Gives backbone, input size and the backbone's options.
        **options: More of them, such as ``drop_path_rate``.

    Raises:
        UserError: timm has no such backbone, it has no such option or no feature maps, or the size
            does not divide into cells.
    """
    if any(side % _COARSEST for side in subject.input_size):
        size = "x".join(map(str, subject.input_size))
        raise UserError(
            f"a pose network's height and width are multiples of {_COARSEST}, not {size}"
        )
    return _on_last_map(subject, options | dict(subject.options))


def _on_last_map(subject: Subject, options: dict[str, Any]) -> PoseNetwork:
    """The network on the map that a backbone gives last.

    That map's norm is the one that the networks' detectors have, and mmpose's with them.
    """

    def build(**more: Any) -> Any:
        return create_network(subject.backbone, options | more, subject.input_size)

    features = build(features_only=True, out_indices=(-1,))
    if isinstance(features, HighResolutionNetFeatures):
        whole = build(features_only=True, feature_location="", out_indices=(1,))
        return PoseNetwork(*_finest_branch(whole), nn.Identity())
    if isinstance(features, EfficientNetFeatures):
        # As features these networks end before their last convolution, of MobileNetV2's 1280.
        whole = build(num_classes=0, global_pool="")
        stride = whole.feature_info[-1]["reduction"]
        return PoseNetwork(whole, whole.num_features, stride, nn.Identity())
    channels, stride = features.feature_info.channels()[0], features.feature_info.reduction()[0]
    with torch.device("meta"):
        whole = build()
    norm = norm_after(whole, channels) if stride == _COARSEST else nn.Identity()
    return PoseNetwork(features, channels, stride, norm, without_decay(whole))


def _finest_branch(network: Any) -> tuple[nn.Module, int, int]:
    """HRNet as published for poses: nothing behind its branches, all fused into the finest."""
    fused = network.stage4[-1].fuse_layers
    channels: int = fused[0][1][0].out_channels
    del fused[1:]
    return network, channels, STRIDE

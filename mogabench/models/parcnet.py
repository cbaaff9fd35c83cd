"""ParC-Net: convolutions as long as the map is, and circular (Zhang et al., ECCV 2022)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Unpack

import torch
from timm.layers import ConvNormAct, DropPath, calculate_drop_path_rates
from torch import Tensor, nn

from mogabench.layers.initialisation import init_linear_and_he_conv
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming
from mogabench.layers.staged import Stage, StagedBackbone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mogabench.layers.backbone import HeadOptions
    from mogabench.layers.released import StateDict

EXPANSION = 4
MLP_RATIO = 2
SQUEEZE = 16
HEAD_DIM = 640

DIMS = (64, 96, 128, 160)
EARLY_DEPTH = 3
"""Blocks of the first stage."""

WIDE_DIMS = (192, 256, 320)
"""Channels within the ParC blocks of the other stages."""

DEPTHS = (2, 4, 3)
"""Their numbers of ParC blocks."""

SIDES = (32, 16, 8)
"""Sides of their maps, cells, that kernels are learned for: of images of 256x256."""


def conv(in_chans: int, dim: int, kernel_size: int, *, act: bool = True, **options: Any) -> Any:
    """A convolution with batch norm and SiLU."""
    return ConvNormAct(in_chans, dim, kernel_size, apply_act=act, act_layer=nn.SiLU, **options)


class InvertedResidual(nn.Module):
    """MobileNetV2's block."""

    def __init__(self, in_chans: int, dim: int, stride: int = 1) -> None:
        super().__init__()
        hidden = EXPANSION * in_chans
        self.exp_1x1 = conv(in_chans, hidden, 1)
        self.conv_3x3 = conv(hidden, hidden, 3, stride=stride, groups=hidden)
        self.red_1x1 = conv(hidden, dim, 1, act=False)
        self.is_residual = stride == 1 and in_chans == dim

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C, H/stride, W/stride)``."""
        y: Tensor = self.red_1x1(self.conv_3x3(self.exp_1x1(x)))
        return x + y if self.is_residual else y


class ChannelAttention(nn.Module):
    """Squeeze-and-excitation with batch norms."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Conv2d(dim, dim // SQUEEZE, 1, bias=False),
            nn.BatchNorm2d(dim // SQUEEZE),
            nn.Hardswish(),
            nn.Conv2d(dim // SQUEEZE, dim, 1, bias=False),
            nn.BatchNorm2d(dim),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        scaled: Tensor = x * self.fc(self.gap(x))
        return scaled


class ParcBlock(nn.Module):
    """Circular convolutions, one half of the channels along H then W, the other the other way.

    Then an MLP with channel attention.

    Args:
        dim: Channels.
        side: Side of the map, cells, that the kernels are learned for; for others they are resized.
        positions: Whether positions are added before the convolutions.
        drop_path: Rate of stochastic depth.
    """

    def __init__(self, dim: int, side: int, *, positions: bool, drop_path: float) -> None:
        super().__init__()
        half = dim // 2
        self.pre_Norm_1 = nn.BatchNorm2d(half)
        self.pre_Norm_2 = nn.BatchNorm2d(half)
        for place in ("1_H", "1_W", "2_H", "2_W"):
            shape = (side, 1) if place.endswith("H") else (1, side)
            kernel = nn.init.kaiming_uniform_(torch.empty(half, 1, *shape), a=math.sqrt(5))
            self.register_parameter(f"meta_kernel_{place}", nn.Parameter(kernel))
            if positions:
                position = nn.Parameter(nn.init.normal_(torch.empty(1, half, *shape)))
                self.register_parameter(f"meta_pe_{place}", position)
        self.positions = positions
        hidden = MLP_RATIO * dim
        self.ffn = nn.Sequential(
            nn.BatchNorm2d(dim),
            nn.Conv2d(dim, hidden, 1),
            nn.Hardswish(),
            nn.Conv2d(hidden, dim, 1),
            nn.Dropout(0.1),
        )
        self.ca = ChannelAttention(dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        first, second = x.chunk(2, dim=1)
        first = self.pre_Norm_1(self._add_place(first, "1_H"))
        second = self.pre_Norm_2(self._add_place(second, "1_W"))
        first = self._add_place(self._circular(first, "1_H"), "2_W")
        second = self._add_place(self._circular(second, "1_W"), "2_H")
        y = torch.cat([self._circular(first, "2_W"), self._circular(second, "2_H")], dim=1)
        x = x + self.drop_path(y)
        mixed: Tensor = x + self.drop_path(self.ca(self.ffn(x)))
        return mixed

    def _add_place(self, x: Tensor, place: str) -> Tensor:
        return x + self._resize(f"meta_pe_{place}", x) if self.positions else x

    def _circular(self, x: Tensor, place: str) -> Tensor:
        kernel = self._resize(f"meta_kernel_{place}", x)
        once_more = x[:, :, :-1] if place.endswith("H") else x[..., :-1]
        twice = torch.cat([x, once_more], dim=2 if place.endswith("H") else 3)
        return nn.functional.conv2d(twice, kernel, groups=x.shape[1])

    def _resize(self, name: str, x: Tensor) -> Tensor:
        """A parameter that is as long as the map is, along one axis."""
        learned: Tensor = getattr(self, name)
        height, width = x.shape[2:]
        size = (height, 1) if name.endswith("H") else (1, width)
        if learned.shape[2:] == size:
            return learned
        return nn.functional.interpolate(learned, size=size, mode="bilinear", align_corners=True)


class ParcStage(nn.Module):
    """ParC blocks on more channels, whose outcome a convolution merges with what went in.

    Args:
        dim: Channels.
        wide: Channels of the blocks.
        side: Side of the map, cells, that the kernels are learned for.
        drop_paths: Rate of stochastic depth of each block.
    """

    def __init__(self, dim: int, wide: int, side: int, drop_paths: Sequence[float]) -> None:
        super().__init__()
        groups = math.gcd(dim, wide)
        self.dim_adaptive = nn.Sequential(
            conv(dim, wide, 3, groups=groups), nn.Conv2d(wide, wide, 1, bias=False)
        )
        self.spatial_global_rep = nn.Sequential(
            *(
                ParcBlock(wide, side, positions=index == 0, drop_path=rate)
                for index, rate in enumerate(drop_paths)
            ),
            nn.BatchNorm2d(wide),
        )
        self.channel_adaptive = conv(wide, dim, 1, groups=groups)
        self.local_global_fusion = conv(2 * dim, dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        y = self.channel_adaptive(self.spatial_global_rep(self.dim_adaptive(x)))
        merged: Tensor = self.local_global_fusion(torch.cat([y, x], dim=1))
        return merged


class ParcNet(StagedBackbone):
    """Four stages: MobileNetV2's blocks in the first, ParC blocks in the others.

    Args:
        in_chans: Channels of the images.
        drop_rate: Dropout before the classifier.
        drop_path_rate: Stochastic depth of the last ParC block; it grows linearly from 0 at the
            first. The authors have none.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        *,
        in_chans: int = 3,
        drop_rate: float = 0.2,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        stem = nn.Sequential(conv(in_chans, 16, 3, stride=2), InvertedResidual(16, 32))
        early = [InvertedResidual(32, DIMS[0], stride=2)]
        early += [InvertedResidual(DIMS[0], DIMS[0]) for _ in range(EARLY_DEPTH - 1)]
        stages: list[Stage] = [(stem, nn.Sequential(*early), nn.Identity())]
        drop_paths = calculate_drop_path_rates(drop_path_rate, list(DEPTHS), stagewise=True)
        for before, dim, wide, side, rates in zip(
            DIMS, DIMS[1:], WIDE_DIMS, SIDES, drop_paths, strict=False
        ):
            embed = InvertedResidual(before, dim, stride=2)
            blocks = nn.Sequential(ParcStage(dim, wide, side, rates))
            stages.append((embed, blocks, nn.Identity()))
        super().__init__(
            stages,
            DIMS,
            in_chans=in_chans,
            norm=conv(DIMS[-1], HEAD_DIM, 1),
            num_features=HEAD_DIM,
            **head,
        )
        self.head_drop = nn.Dropout(drop_rate)
        self.apply(init_linear_and_he_conv)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pools the last feature map and, unless ``pre_logits``, classifies it."""
        pooled: Tensor = self.head_drop(self.global_pool(x))
        return pooled if pre_logits else self.head(pooled)


_rename = renaming(
    {
        r"^conv_1\.": "patch_embed1.0.",
        r"^layer_1\.0\.": "patch_embed1.1.",
        r"^layer_2\.": "blocks1.",
        r"^layer_3\.0\.": "patch_embed2.",
        r"^layer_4\.0\.": "patch_embed3.",
        r"^(layer_5\.0|residual)\.": "patch_embed4.",  # the release lists these twice
        r"^layer_3\.1\.": "blocks2.0.",
        r"^layer_4\.1\.": "blocks3.0.",
        r"^layer_5\.1\.": "blocks4.0.",
        r"^conv_1x1_exp\.": "norm.",
        r"^classifier\.fc\.": "head.",
        r"\.dim_adaptive\.1\.block\.conv\.": ".dim_adaptive.1.",
        r"\.ffn\.4\.": ".ffn.3.",  # past a dropout of rate 0
        r"\.block\.norm\.": ".bn.",
        r"\.block\.": ".",
    }
)


def checkpoint_filter_fn(state_dict: Mapping[str, Tensor], model: nn.Module) -> StateDict:
    """Translates released weights, which were trained on BGR: our names, and a stem for RGB."""
    renamed = _rename(state_dict, model)
    if "conv_1.block.conv.weight" in state_dict:
        stem = "patch_embed1.0.conv.weight"
        renamed[stem] = renamed[stem].flip(1)
    return renamed


register_family(
    __name__,
    ParcNet,
    {"parcnet_small": {}},  # ParC-Net-S, 5.04 M parameters
    checkpoint_filter_fn=checkpoint_filter_fn,
    input_size=(3, 256, 256),
    pool_size=(8, 8),
    crop_pct=256 / 288,
    interpolation="bilinear",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    first_conv="patch_embed1.0.conv",
    classifier="head",
    origin_url="https://github.com/hkzhang91/ParC-Net",
    paper_ids="arXiv:2203.03952",
)

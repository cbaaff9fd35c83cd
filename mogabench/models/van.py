"""VAN, the visual attention network: large-kernel attention (Guo et al., CVMJ 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from timm.layers import DropPath, LayerNorm2d, LayerScale2d, calculate_drop_path_rates
from torch import Tensor, nn

from mogabench.layers.convolutions import depthwise_conv
from mogabench.layers.initialisation import init_conv
from mogabench.layers.moga import ChannelAggregation
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming
from mogabench.layers.staged import Stage, StagedBackbone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.layers.backbone import HeadOptions

MLP_RATIOS = (8, 8, 4, 4)
INITIAL_SCALE = 1e-2


class OverlapEmbed(nn.Module):
    """A strided convolution with overlapping patches, normalised."""

    def __init__(self, in_chans: int, dim: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_chans, dim, kernel_size, stride=stride, padding=kernel_size // 2)
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C, H/stride, W/stride)``."""
        embedded: Tensor = self.norm(self.proj(x))
        return embedded


class LargeKernelAttention(nn.Module):
    """A DW5x5, a DW7x7 with dilation 3 and a 1x1 give the factor of each element."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv0 = depthwise_conv(dim, 5)
        self.conv_spatial = depthwise_conv(dim, 7, dilation=3)
        self.conv1 = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        factors: Tensor = self.conv1(self.conv_spatial(self.conv0(x)))
        return x * factors


class SpatialAttention(nn.Module):
    """Large-kernel attention between two 1x1, added to the input."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj_1 = nn.Conv2d(dim, dim, 1)
        self.activation = nn.GELU()
        self.spatial_gating_unit = LargeKernelAttention(dim)
        self.proj_2 = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        attended: Tensor = self.proj_2(self.spatial_gating_unit(self.activation(self.proj_1(x))))
        return x + attended


class VanBlock(nn.Module):
    """Spatial attention, then an MLP with a DW3x3; each normalised before and scaled after."""

    def __init__(self, dim: int, hidden_dim: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(dim)
        self.attn = SpatialAttention(dim)
        self.layer_scale_1 = LayerScale2d(dim, INITIAL_SCALE)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.BatchNorm2d(dim)
        self.mlp = ChannelAggregation(dim, hidden_dim, aggregation="none")
        self.layer_scale_2 = LayerScale2d(dim, INITIAL_SCALE)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        x = x + self.drop_path(self.layer_scale_1(self.attn(self.norm1(x))))
        mixed: Tensor = x + self.drop_path(self.layer_scale_2(self.mlp(self.norm2(x))))
        return mixed


class VisualAttentionNetwork(StagedBackbone):
    """Four stages of large-kernel attention, each ended by a layer norm.

    Args:
        dims: Channels of each stage.
        depths: Blocks of each stage.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        dims: Sequence[int],
        depths: Sequence[int],
        *,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        drop_paths = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        stages: list[Stage] = []
        for index, (dim, ratio, rates) in enumerate(zip(dims, MLP_RATIOS, drop_paths, strict=True)):
            if index == 0:
                embed = OverlapEmbed(in_chans, dim, kernel_size=7, stride=4)
            else:
                embed = OverlapEmbed(dims[index - 1], dim, kernel_size=3, stride=2)
            blocks = [VanBlock(dim, dim * ratio, rate) for rate in rates]
            stages.append((embed, nn.Sequential(*blocks), LayerNorm2d(dim, eps=1e-6)))
        super().__init__(stages, dims, in_chans=in_chans, **head)
        self.apply(init_conv)


checkpoint_filter_fn = renaming(
    {
        r"^block(\d)\.": r"blocks\1.",
        r"\.dwconv\.dwconv\.": ".dwconv.",
        r"(layer_scale_\d)$": r"\1.gamma",
    }
)

register_family(
    __name__,
    VisualAttentionNetwork,
    {
        # VAN-B0, 4.1 M parameters; VAN-B1, 13.9 M; VAN-B2, 26.6 M; VAN-B3, 44.8 M.
        "van_b0": {"dims": (32, 64, 160, 256), "depths": (3, 3, 5, 2)},
        "van_b1": {"dims": (64, 128, 320, 512), "depths": (2, 2, 4, 2)},
        "van_b2": {"dims": (64, 128, 320, 512), "depths": (3, 3, 12, 3)},
        "van_b3": {"dims": (64, 128, 320, 512), "depths": (3, 5, 27, 3)},
    },
    checkpoint_filter_fn=checkpoint_filter_fn,
    crop_pct=0.9,
    pool_size=(7, 7),
    first_conv="patch_embed1.proj",
    classifier="head",
    origin_url="https://github.com/Visual-Attention-Network/VAN-Classification",
    paper_ids="arXiv:2202.09741",
)

"""The blocks of OverLoCK (Lou and Yu, CVPR 2025)."""

from __future__ import annotations

import torch
from timm.layers import DropPath, LayerNorm2d, SqueezeExcite
from timm.layers.grn import GlobalResponseNorm
from torch import Tensor, nn
from torch.nn import functional

from mogabench.layers.context_mixing import ContextMixing
from mogabench.layers.large_kernel import DilatedDepthwise
from mogabench.ops.depthwise import DepthwiseConv2d

DILATED = {
    17: ((5, 1), (7, 1), (9, 2), (3, 4), (3, 5), (3, 7)),
    15: ((5, 1), (7, 1), (7, 2), (3, 3), (3, 5), (3, 7)),
    13: ((5, 1), (7, 1), (7, 2), (3, 3), (3, 4), (3, 5)),
    7: ((5, 1), (3, 1), (3, 2), (3, 3)),
}
"""Side and dilation of the kernels beside each large one."""

BASE_MLP_RATIO, FOCUS_MLP_RATIO = 4, 3


class ResidualDepthwise(DepthwiseConv2d):
    """A DW3x3 added to its input."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return x + super().forward(x)


class ChannelScale(nn.Module):
    """A factor, 1 at first, and a shift of each channel."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim, 1, 1, 1))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return functional.conv2d(x, self.weight, self.bias, groups=len(self.bias))


def _large_kernel(dim: int, kernel_size: int) -> nn.Module:
    return DilatedDepthwise(dim, kernel_size, DILATED[kernel_size])


def _excite(dim: int) -> nn.Module:
    excite: nn.Module = SqueezeExcite(dim, rd_channels=max(16, dim // 8), act_layer=nn.GELU)
    return excite


def _mlp(dim: int, hidden_dim: int) -> list[nn.Module]:
    return [
        nn.Conv2d(dim, hidden_dim, 1),
        nn.GELU(),
        ResidualDepthwise(hidden_dim),
        GlobalResponseNorm(hidden_dim, channels_last=False),
        nn.Conv2d(hidden_dim, dim, 1),
    ]


class BaseBlock(nn.Module):
    """A large kernel, squeeze and excitation, and an MLP.

    Args:
        dim: Channels.
        kernel_size: Side of the large kernel.
        drop_path: Rate of stochastic depth.
        scaled: Whether a factor of each channel is learned for what the block adds to.
    """

    def __init__(self, dim: int, kernel_size: int, drop_path: float, *, scaled: bool) -> None:
        super().__init__()
        self.dwconv = ResidualDepthwise(dim)
        self.proj = nn.Sequential(
            LayerNorm2d(dim),
            _large_kernel(dim, kernel_size),
            nn.BatchNorm2d(dim),
            _excite(dim),
            *_mlp(dim, BASE_MLP_RATIO * dim),
            DropPath(drop_path),
        )
        self.ls = ChannelScale(dim) if scaled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        x = self.dwconv(x)
        mixed: Tensor = self.ls(x) + self.proj(x)
        return mixed


class FocusBlock(nn.Module):
    """Convolutions with kernels from the context, gated, and an MLP, on map and context joined.

    Args:
        dim: Channels of the map.
        context_dim: Channels of the context.
        kernel_size: Side of the large kernels.
        num_heads: Groups of channels with kernels of their own.
        drop_path: Rate of stochastic depth.
        first: Whether the context that comes is still the overview itself.
    """

    def __init__(
        self,
        dim: int,
        context_dim: int,
        kernel_size: int,
        num_heads: int,
        drop_path: float,
        *,
        first: bool,
    ) -> None:
        super().__init__()
        joined = dim + context_dim
        self.dim = dim
        self.first = first
        if not first:
            self.x_scale = ChannelScale(context_dim)
            self.h_scale = ChannelScale(context_dim)
        self.dwconv1 = ResidualDepthwise(joined)
        self.norm1 = LayerNorm2d(joined)
        self.fusion = nn.Sequential(
            DepthwiseConv2d(joined, 3),
            nn.BatchNorm2d(joined),
            nn.GELU(),
            nn.Conv2d(joined, dim, 1),
            GlobalResponseNorm(dim, channels_last=False),
        )
        self.mixing = ContextMixing(dim, context_dim, kernel_size, num_heads)
        self.lepe = nn.Sequential(_large_kernel(dim, kernel_size), nn.BatchNorm2d(dim))
        self.se_layer = _excite(dim)
        self.gate = nn.Sequential(
            nn.Conv2d(dim, dim, 1, bias=False), nn.BatchNorm2d(dim), nn.SiLU()
        )
        self.proj = nn.Sequential(nn.BatchNorm2d(dim), nn.Conv2d(dim, joined, 1))
        self.dwconv2 = ResidualDepthwise(joined)
        self.norm2 = LayerNorm2d(joined)
        self.mlp = nn.Sequential(*_mlp(joined, FOCUS_MLP_RATIO * dim))
        self.ls1 = ChannelScale(joined)
        self.ls2 = ChannelScale(joined)
        self.drop_path = DropPath(drop_path)

    def forward(self, joined: Tensor, overview: Tensor) -> Tensor:
        """One step of the focus.

        Args:
            joined: Map and context ``(N, C + D, H, W)``.
            overview: ``(N, D, H, W)``.

        Returns:
            Map and context ``(N, C + D, H, W)``.
        """
        if not self.first:
            x, context = joined[:, : self.dim], joined[:, self.dim :]
            joined = torch.cat([x, self.x_scale(context) + self.h_scale(overview)], dim=1)
        joined = self.dwconv1(joined)
        guide = self.norm1(joined)
        x = self.fusion(guide)
        mixed = self.gate(x) * self.se_layer(self.mixing(x, guide) + self.lepe(x))
        joined = self.dwconv2(self.ls1(joined) + self.drop_path(self.proj(mixed)))
        changed: Tensor = self.ls2(joined) + self.drop_path(self.mlp(self.norm2(joined)))
        return changed

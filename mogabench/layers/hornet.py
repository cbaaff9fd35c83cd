"""The block of HorNet (Rao et al., 2022), with the names of the released network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from timm.layers import DropPath, LayerNorm2d
from torch import Tensor, nn

from mogabench.layers.convolutions import depthwise_conv

if TYPE_CHECKING:
    from collections.abc import Callable

LOCAL_VIEW = partial(depthwise_conv, kernel_size=7)


class GatedRecursiveConv(nn.Module):
    """Gated convolution of high order: a map multiplied ``order`` times with depth-wise views.

    Args:
        dim: Channels; a multiple of ``2 ** (order - 1)``.
        order: Multiplications; each doubles the channels, and the last has ``dim``.
        view: Makes what gives the depth-wise views, for a number of channels.
        scale: Factor of the views.
    """

    def __init__(
        self,
        dim: int,
        order: int,
        *,
        view: Callable[[int], nn.Module] = LOCAL_VIEW,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.dims = [dim // 2**step for step in reversed(range(order))]
        self.proj_in = nn.Conv2d(dim, self.dims[0] + sum(self.dims), 1)
        self.dwconv = view(sum(self.dims))
        self.scale = scale
        self.proj_out = nn.Conv2d(dim, dim, 1)
        self.pws = nn.ModuleList(
            nn.Conv2d(narrow, wide, 1)
            for narrow, wide in zip(self.dims, self.dims[1:], strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        gated, context = self.proj_in(x).split([self.dims[0], sum(self.dims)], dim=1)
        first, *others = (self.scale * self.dwconv(context)).split(self.dims, dim=1)
        gated = gated * first
        for widen, view in zip(self.pws, others, strict=True):
            gated = widen(gated) * view
        out: Tensor = self.proj_out(gated)
        return out


class HorBlock(nn.Module):
    """Recursive gated convolution, then an MLP; each normalised before and scaled after.

    Args:
        dim: Channels.
        hidden_dim: Hidden channels of the MLP.
        order: Of the gated convolution.
        view: Its views, for a number of channels.
        scale: Their factor.
        drop_path: Rate of stochastic depth.
        initial_scale: Start of both scales after the branches.
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        *,
        order: int,
        view: Callable[[int], nn.Module] = LOCAL_VIEW,
        scale: float = 1.0,
        drop_path: float = 0.0,
        initial_scale: float = 1e-6,
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(dim)
        self.gnconv = GatedRecursiveConv(dim, order, view=view, scale=scale)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, hidden_dim)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(hidden_dim, dim)
        self.gamma1 = nn.Parameter(torch.full((dim,), initial_scale))
        self.gamma2 = nn.Parameter(torch.full((dim,), initial_scale))
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        x = x + self.drop_path(self.gamma1[:, None, None] * self.gnconv(self.norm1(x)))
        y = self.norm2(x.permute(0, 2, 3, 1))
        y = self.gamma2 * self.pwconv2(self.act(self.pwconv1(y)))
        out: Tensor = x + self.drop_path(y.permute(0, 3, 1, 2))
        return out

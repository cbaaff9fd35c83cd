"""IncepU, SimVP's first translator: a U-Net of inception blocks ("SimVP" in Table A14)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_KERNELS = (3, 5, 7, 11)
_GROUPS = 8


class GroupConv(nn.Module):
    """A convolution in groups, group norm and leaky ReLU."""

    def __init__(self, in_dim: int, dim: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_dim, dim, kernel_size, padding=kernel_size // 2, groups=_GROUPS)
        self.norm = nn.GroupNorm(_GROUPS, dim)
        self.activate = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C, H, W)``."""
        out: Tensor = self.activate(self.norm(self.conv(x)))
        return out


class Inception(nn.Module):
    """A 1x1 convolution, then the sum of group convolutions of four kernel sizes."""

    def __init__(self, in_dim: int, hidden_dim: int, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_dim, hidden_dim, 1)
        self.layers = nn.Sequential(*(GroupConv(hidden_dim, dim, size) for size in _KERNELS))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C, H, W)``."""
        x = self.conv1(x)
        first, *others = (layer(x) for layer in self.layers)
        out: Tensor = sum(others, start=first)
        return out


class IncepUTranslator(nn.Module):
    """Inception blocks down and up; each going up also sees its counterpart's output.

    Args:
        dim: Channels outside.
        hidden_dim: Channels between blocks; half of it within.
        depth: Blocks in each direction.
    """

    def __init__(self, dim: int, hidden_dim: int, depth: int) -> None:
        super().__init__()
        inner, twice = hidden_dim // 2, 2 * hidden_dim
        down = [Inception(width, inner, hidden_dim) for width in [dim, *[hidden_dim] * (depth - 1)]]
        widths = [hidden_dim, *[twice] * (depth - 1)]
        outs = [*[hidden_dim] * (depth - 1), dim]
        up = [Inception(width, inner, out) for width, out in zip(widths, outs, strict=True)]
        self.enc = nn.Sequential(*down)
        self.dec = nn.Sequential(*up)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` to the same shape."""
        skips = []
        for block in self.enc:
            x = block(x)
            skips.append(x)
        x = self.dec[0](skips.pop())
        for block in self.dec[1:]:
            x = block(torch.cat([x, skips.pop()], dim=1))
        return x

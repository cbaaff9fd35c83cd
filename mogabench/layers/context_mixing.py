"""Convolutions whose kernels come from a context (Lou and Yu, CVPR 2025)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from mogabench.ops.neighbourhood import mix_neighbours, neighbour_biases

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALL_KERNEL = 5
"""Side of the kernels of the first half of the channels."""

REGIONS = 7
"""The context is averaged to this many regions a side."""


class ContextMixing(nn.Module):
    """Each cell's kernels, from how its query fits the keys of the context's regions.

    A map smaller than the kernel is enlarged for it, and averaged back.

    Args:
        dim: Channels.
        context_dim: Channels of the context.
        kernel_size: Side of the kernels of the second half of the channels.
        num_heads: Groups of channels with kernels of their own, in each half.
    """

    def __init__(self, dim: int, context_dim: int, kernel_size: int, num_heads: int) -> None:
        super().__init__()
        self.dim = dim
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.kernels = (SMALL_KERNEL, kernel_size)
        self.weight_query = nn.Sequential(
            nn.Conv2d(dim, dim // 2, 1, bias=False), nn.BatchNorm2d(dim // 2)
        )
        self.weight_key = nn.Sequential(
            nn.AdaptiveAvgPool2d(REGIONS),
            nn.Conv2d(context_dim, dim // 2, 1, bias=False),
            nn.BatchNorm2d(dim // 2),
        )
        self.weight_proj = nn.Linear(REGIONS**2, sum(side**2 for side in self.kernels))
        self.rpb1, self.rpb2 = (
            nn.Parameter(torch.zeros(num_heads, 2 * side - 1, 2 * side - 1))
            for side in self.kernels
        )
        self.dyconv_proj = nn.Sequential(nn.Conv2d(dim, dim, 1, bias=False), nn.BatchNorm2d(dim))

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Mixes a map.

        Args:
            x: ``(N, C, H, W)``.
            guide: What the kernels come from: the map, then its context, ``(N, C + D, H, W)``.

        Returns:
            The mixed map ``(N, C, H, W)``.
        """
        size = x.shape[2:]
        if min(size) < self.kernels[-1]:
            x, guide = (self._enlarge(given) for given in (x, guide))
        affinities = self._affinities(guide[:, : self.dim], guide[:, self.dim :])
        logits = self.weight_proj(affinities).unflatten(2, x.shape[2:])
        mixed = [
            self._mix(half, part, table)
            for half, part, table in zip(
                x.chunk(2, dim=1),
                logits.split([side**2 for side in self.kernels], dim=-1),
                (self.rpb1, self.rpb2),
                strict=True,
            )
        ]
        joined = torch.cat(mixed, dim=1)
        if joined.shape[2:] != size:
            joined = functional.adaptive_avg_pool2d(joined, (size[0], size[1]))
        projected: Tensor = self.dyconv_proj(joined)
        return projected

    def _affinities(self, x: Tensor, context: Tensor) -> Tensor:
        """How each cell fits each region, ``(N, heads, H*W, regions)``."""
        query, key = (
            given.flatten(2).unflatten(1, (self.num_heads, -1))
            for given in (self.weight_query(x) * self.scale, self.weight_key(context))
        )
        affinities: Tensor = query.transpose(-2, -1) @ key
        return affinities

    def _mix(self, values: Tensor, logits: Tensor, table: Tensor) -> Tensor:
        side = (table.shape[-1] + 1) // 2
        weights = (logits + neighbour_biases(table, values.shape[2:])).softmax(dim=-1)
        grouped = torch.unflatten(values, 1, (self.num_heads, -1))
        return mix_neighbours(weights, grouped, side).flatten(1, 2)

    def _enlarge(self, x: Tensor) -> Tensor:
        """The map with the kernel's size as its shorter side."""
        shorter, side = min(x.shape[2:]), self.kernels[-1]
        size: Sequence[int] = [int(side / shorter * length) for length in x.shape[2:]]
        return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)

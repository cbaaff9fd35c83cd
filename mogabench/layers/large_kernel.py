"""Depth-wise convolutions with very large kernels, and smaller ones beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timm.layers import ConvNormAct
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping


class ParallelDepthwise(nn.ModuleDict):
    """The sum of depth-wise convolutions, each with a batch norm.

    Args:
        dim: Channels.
        kernels: Kernel size of each by name, a side or ``(height, width)``.
    """

    def __init__(self, dim: int, kernels: Mapping[str, int | tuple[int, int]]) -> None:
        super().__init__(
            {
                name: ConvNormAct(dim, dim, size, groups=dim, apply_act=False)
                for name, size in kernels.items()
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        first, *others = self.values()
        total: Tensor = first(x)
        for branch in others:
            total = total + branch(x)
        return total

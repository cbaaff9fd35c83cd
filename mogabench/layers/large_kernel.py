"""Depth-wise convolutions with very large kernels, and smaller ones beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from timm.layers import ConvNormAct
from torch import Tensor, nn

from mogabench.layers.fusion import split_norm
from mogabench.ops.depthwise import DepthwiseConv2d

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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


class DilatedDepthwise(ParallelDepthwise):
    """A large kernel and small dilated ones that reach no further, each with a batch norm.

    For inference they are one large kernel (Ding et al., CVPR 2024).

    Args:
        dim: Channels.
        kernel_size: Side of the large kernel, odd.
        dilated: Side and dilation of each small kernel.
    """

    def __init__(self, dim: int, kernel_size: int, dilated: Sequence[tuple[int, int]]) -> None:
        super().__init__(dim, {"lk_origin": kernel_size})
        self.dilations = [1, *(dilation for _, dilation in dilated)]
        for side, dilation in dilated:
            self[f"k{side}_{dilation}"] = ConvNormAct(
                dim, dim, side, groups=dim, dilation=dilation, apply_act=False
            )

    @torch.no_grad()
    def fused(self) -> nn.Module:
        """The one large kernel, on whose taps those of the small ones lie."""
        large = self["lk_origin"].get_parameter("conv.weight")
        kernel = torch.zeros_like(large, dtype=torch.float64)
        bias = kernel.new_zeros(len(kernel))
        centre = kernel.shape[-1] // 2
        for branch, dilation in zip(self.values(), self.dilations, strict=True):
            norm = split_norm(branch.get_submodule("bn"))
            if norm is None:
                return self
            weight = branch.get_parameter("conv.weight").double()
            reach = dilation * (weight.shape[-1] // 2)
            taps = slice(centre - reach, centre + reach + 1, dilation)
            kernel[..., taps, taps] += weight * norm.factor[:, None, None, None]
            bias += norm.shift
        merged = DepthwiseConv2d(len(kernel), kernel.shape[-1]).eval()
        merged.weight = nn.Parameter(kernel.to(large.dtype))
        merged.bias = nn.Parameter(bias.to(large.dtype))
        return merged


DILATED_NAMES = {
    r"\.lk_origin\.(weight|bias)$": r".lk_origin.conv.\1",
    r"\.origin_bn\.": ".lk_origin.bn.",
    r"\.dil_conv_(k\d+_\d+)\.": r".\1.conv.",
    r"\.dil_bn_(k\d+_\d+)\.": r".\1.bn.",
}
"""Rules for ``renaming``: from the names of ``DilatedDepthwise`` in released networks."""

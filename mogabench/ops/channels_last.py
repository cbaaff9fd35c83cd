"""Operators on maps in channels_last layout, in the forms that PyTorch computes fastest.

Such maps are dense as ``(N, H, W, C)``. PyTorch has fast paths for dense tensors and for matrices
that it does not take for the same numbers seen as ``(N, C, H, W)``; `benchmarks/cpu.py` and
`benchmarks/gpu.py` time networks with and without these forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.fx
from torch import Tensor, nn
from torch.nn import functional

from mogabench.ops.exporting import is_exporting
from mogabench.ops.layout import pixel_stride
from mogabench.ops.precision import autocast_type, in_autocast_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CACHED = 2**23
"""Bytes of a map that a processor's cache holds, about."""


def suits_cpu(x: Tensor) -> bool:
    """Whether maps ``(N, C, H, W)`` are on the CPU, in channels_last layout or a slice of such.

    They do not suit while the network is exported: a file takes the plain operators.
    """
    return x.device.type == "cpu" and not is_exporting() and pixel_stride(x) is not None


def suits_product(x: Tensor) -> bool:
    """Whether 1x1 convolutions of maps ``(N, C, H, W)`` are computed as matrix products.

    On a GPU they are in half precision, where the product adds the bias in the same pass and the
    convolution by cuDNN does not; in float32 the convolution alone may use TF32 by default.
    """
    return suits_cpu(x) or (
        x.is_cuda
        and autocast_type(x) in (torch.bfloat16, torch.float16)
        and not is_exporting()
        and pixel_stride(x) is not None
    )


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution, which is a matrix product of maps in channels_last layout.

    Args:
        in_dim: Channels of the input.
        out_dim: Channels of the output.
        bias: Whether there is one.
    """

    def __init__(self, in_dim: int, out_dim: int, bias: bool = True) -> None:
        super().__init__(in_dim, out_dim, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C_out, H, W)``."""
        return convolve_pointwise(x, self.weight, self.bias)


def convolve_pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Maps ``(N, C_in, H, W)`` to ``(N, C_out, H, W)`` by weights ``(C_out, C_in, 1, 1)``."""
    if not suits_product(x):
        return functional.conv2d(x, weight, bias)
    return functional.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


class GELU(nn.GELU):
    """`torch.nn.GELU`, which PyTorch computes faster on dense tensors."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return gelu(x)


def gelu(x: Tensor, *, in_place: bool = False) -> Tensor:
    """GELU of maps ``(N, C, H, W)``.

    Args:
        x: Maps.
        in_place: Whether the result may take the place of ``x``.
    """
    if not suits_cpu(x):
        return functional.gelu(x)
    dense = x.permute(0, 2, 3, 1)
    activated = torch.ops.aten.gelu_(dense) if in_place else functional.gelu(dense)
    return activated.permute(0, 3, 1, 2)


def in_groups(function: Callable[[Tensor], Tensor], x: Tensor, dim: int) -> Tensor:
    """Applies a function to the images of a batch, on the CPU to a few of them at a time.

    The maps in between then stay in the cache, and are small enough for the allocator to keep
    their memory: the C library returns large blocks to the system, which clears them anew.

    Args:
        function: Maps ``(N, C, H, W)`` to as many, each image by itself.
        x: Its input.
        dim: Channels of the largest map in between.

    Returns:
        The function of ``x``.
    """
    if torch.compiler.is_compiling() or not suits_cpu(x):  # a graph would keep what is asked below
        return function(x)
    images, _, height, width = x.shape
    at_once = max(1, _CACHED // (dim * height * width * x.element_size()))
    if images <= at_once:
        return function(x)
    return torch.cat([function(group) for group in torch.split(x, at_once)])


# What they ask of a map has no answer while torch.fx traces.
torch.fx.wrap("convolve_pointwise")
torch.fx.wrap("gelu")


def convolve_depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """A depth-wise convolution that keeps the size, of maps that `suits_cpu`.

    Args:
        x: Maps ``(N, C, H, W)``.
        weight: Filters ``(C, 1, K, K)``, ``K`` odd.
        bias: ``(C,)`` or None.
        dilation: Distance of the filters' taps.
    """
    weight = _within_reach(weight, x.shape[2:], dilation)
    if weight.shape[2:] == (1, 1):
        x, weight, bias = in_autocast_type(x, weight, bias)
        out = x * weight.view(-1, 1, 1)
        return out if bias is None else out + bias.view(-1, 1, 1)
    # oneDNN's fast kernels end at a dilation of 2, and those for gradients at 1.
    if dilation > 2 or (dilation == 2 and torch.is_grad_enabled()):
        return _convolve_phases(x, weight, bias, dilation)
    padding = [dilation * (taps // 2) for taps in weight.shape[2:]]
    return functional.conv2d(x, weight, bias, 1, padding, dilation, len(weight))


def _within_reach(weight: Tensor, size: Sequence[int], dilation: int) -> Tensor:
    """The taps that reach from one pixel of a map to another; the others only meet padding."""
    for axis, length in enumerate(size, start=2):
        taps = weight.shape[axis]
        reach = min(taps // 2, (length - 1) // dilation)
        weight = weight.narrow(axis, taps // 2 - reach, 2 * reach + 1)
    return weight


def _convolve_phases(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """A dilated convolution as a plain one of every ``dilation``-th row and column."""
    (n, c, h, w), d = x.shape, dilation
    rows, columns = -(-h // d), -(-w // d)
    pixels = x.permute(0, 2, 3, 1)
    if (rows * d, columns * d) != (h, w):
        pixels = functional.pad(pixels, (0, 0, 0, columns * d - w, 0, rows * d - h))
    phases = pixels.reshape(n, rows, d, columns, d, c).permute(0, 2, 4, 1, 3, 5)
    phases = phases.reshape(n * d * d, rows, columns, c).permute(0, 3, 1, 2)
    padding = [taps // 2 for taps in weight.shape[2:]]
    out = functional.conv2d(phases, weight, bias, 1, padding, 1, c)
    pixels = out.permute(0, 2, 3, 1).reshape(n, d, d, rows, columns, c).permute(0, 3, 1, 4, 2, 5)
    return pixels.reshape(n, rows * d, columns * d, c)[:, :h, :w].permute(0, 3, 1, 2)

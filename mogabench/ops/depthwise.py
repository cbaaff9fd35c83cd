"""Depth-wise convolution, computed in the way that is fastest where the maps are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.fx
from torch import Tensor, nn

from mogabench.ops import channels_last
from mogabench.ops.depthwise_kernels import depthwise, multi_order, suits_kernels
from mogabench.ops.precision import in_autocast_type

if TYPE_CHECKING:
    from collections.abc import Sequence


class DepthwiseConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` with one filter per channel, stride 1, an odd kernel and the same size.

    Maps in channels_last layout take a faster way on a CPU, and on an NVIDIA GPU in inference and
    in compiled training.

    Args:
        dim: Channels.
        kernel_size: Height and width of the filters; odd.
        dilation: Distance of their taps.
    """

    def __init__(self, dim: int, kernel_size: int, dilation: int = 1) -> None:
        padding = dilation * (kernel_size // 2)
        super().__init__(dim, dim, kernel_size, padding=padding, dilation=dilation, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return convolve(x, self.weight, self.bias, self.dilation[0])

    def with_gelu(self, x: Tensor) -> Tensor:
        """The same with GELU after it, in one pass where the kernels are used."""
        return convolve(x, self.weight, self.bias, self.dilation[0], gelu=True)


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int, gelu: bool = False
) -> Tensor:
    """A depth-wise convolution that keeps the size, by the kernels where they suit.

    Args:
        x: Maps ``(N, C, H, W)``.
        weight: Filters ``(C, 1, K, K)``, ``K`` odd.
        bias: ``(C,)`` or None.
        dilation: Distance of the filters' taps.
        gelu: Whether GELU follows.
    """
    if gelu and torch.is_grad_enabled():  # that pass has no gradient
        return channels_last.gelu(convolve(x, weight, bias, dilation))
    if suits_kernels(x) and not _trains_eagerly():
        (x,) = in_autocast_type(x)
        convolved: Tensor = depthwise(x, weight, bias, dilation, gelu)
        return convolved
    if channels_last.suits_cpu(x):
        out = channels_last.convolve_depthwise(x, weight, bias, dilation)
    else:
        padding = dilation * (weight.shape[-1] // 2)
        out = nn.functional.conv2d(x, weight, bias, 1, padding, dilation, len(weight))
    return channels_last.gelu(out, in_place=True) if gelu else out


def _trains_eagerly() -> bool:
    """Whether Python starts the operators of a pass with gradients one by one.

    For the kernels that takes it longer than they need: on an H200 a step of MogaNet-S at batch 128
    took 205 ms by them and 160 ms by cuDNN.
    """
    return torch.is_grad_enabled() and not torch.compiler.is_compiling()


def convolve_multi_order(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]
) -> Tensor | None:
    """The multi-order convolutions in one buffer; None where there is no faster way for it.

    Args:
        x: Maps ``(N, C, H, W)``.
        weights: Filters as `multi_order` takes them.
        biases: Biases likewise.
    """
    if torch.is_grad_enabled():
        return None
    if suits_kernels(x):
        (x,) = in_autocast_type(x)
        convolved: Tensor = multi_order(x, list(weights), list(biases))
        return convolved
    if not channels_last.suits_cpu(x):
        return None
    out = channels_last.convolve_depthwise(x, weights[0], biases[0], 1)
    high = x.shape[1] - len(weights[2])
    middle = high - len(weights[1])
    for part, weight, bias, dilation in (
        (out[:, middle:high], weights[1], biases[1], 2),
        (out[:, high:], weights[2], biases[2], 3),
    ):
        if len(weight):
            part.copy_(channels_last.convolve_depthwise(part, weight, bias, dilation))
    return out


def lie_by_taps(conv: nn.Conv2d) -> None:
    """Lays the filters in memory as the kernels read them, so that they need no copy each time."""
    weight = conv.weight.detach()
    conv.weight.data = weight.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)


torch.fx.wrap("convolve")  # what it asks of a map has no answer while torch.fx traces

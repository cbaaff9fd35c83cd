"""Depth-wise convolution of maps in channels_last layout by Triton kernels, for NVIDIA GPUs.

cuDNN has no good kernel for dilated ones: on an H200 in bfloat16 at batch 128 a 7x7 of dilation 3
takes it 1303 us for 32 channels of 56x56 and 468 us for 160 of 14x14, the kernels 331 and 250, and
MogaNet-S goes from 2899 to 4279 images/s (`benchmarks/gpu_speed.py`). Without dilation the two are
about equal. There is no backward pass: cuDNN's was faster than the one that was tried.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
import torch.fx
from torch import Tensor, nn

_HAS_TRITON = torch.version.hip is None and find_spec("triton") is not None
_LARGEST = 2**31
"""The kernels count elements in 32 bits."""


class DepthwiseConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` with one filter per channel, stride 1, an odd kernel and the same size.

    Uses the kernels where they are faster, and PyTorch's own convolution everywhere else.

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
        if self.dilation[0] == 1:
            return super().forward(x)
        return convolve_dilated(x, self.weight, self.bias, self.dilation[0])


def convolve_dilated(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """A depth-wise convolution that keeps the size, by the kernels where they suit.

    Args:
        x: Maps ``(N, C, H, W)``.
        weight: Filters ``(C, 1, K, K)``, ``K`` odd.
        bias: ``(C,)`` or None.
        dilation: Distance of the filters' taps.
    """
    if not suits_kernels(x):
        padding = dilation * (weight.shape[-1] // 2)
        return nn.functional.conv2d(x, weight, bias, 1, padding, dilation, len(weight))
    dtype = x.dtype
    if torch.is_autocast_enabled("cuda"):
        dtype = torch.get_autocast_dtype("cuda")
    bias = None if bias is None else bias.to(dtype)
    out: Tensor = depthwise(x.to(dtype), weight.to(dtype), bias, dilation)
    return out


torch.fx.wrap("convolve_dilated")  # what it asks of a map has no answer while torch.fx traces


def suits_kernels(x: Tensor) -> bool:
    """Whether the kernels can and should compute with ``(N, C, H, W)``.

    They do in inference, for maps in channels_last layout on an NVIDIA GPU, unless the network is
    being exported: a file must not need them.
    """
    return (
        x.is_cuda
        and not torch.is_grad_enabled()
        and _HAS_TRITON
        and not torch.compiler.is_exporting()
        and not torch.onnx.is_in_onnx_export()
        and x.dtype in (torch.bfloat16, torch.float16, torch.float32)
        and _pixel_stride(x) is not None
        and _span(x) < _LARGEST
    )


def _pixel_stride(x: Tensor) -> int | None:
    """Elements from a pixel to the next, of maps or a slice of their channels in NHWC."""
    n, c, h, w = x.shape
    stride = x.stride(3) if w > 1 else x.stride(2) if h > 1 else x.stride(0)
    is_nhwc = (
        (c == 1 or x.stride(1) == 1)
        and (h == 1 or x.stride(2) == w * stride)
        and (n == 1 or x.stride(0) == h * w * stride)
        and stride >= c
        and c > 1
    )
    return stride if is_nhwc and x.numel() > 0 else None


def _span(x: Tensor) -> int:
    n, _, h, w = x.shape
    return n * h * w * (_pixel_stride(x) or 1)


@torch.library.custom_op("mogabench::depthwise", mutates_args=())
def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """Convolves each channel with its filter, keeping the size; has no gradient.

    Args:
        x: Maps ``(N, C, H, W)`` in channels_last layout, or a slice of the channels of such.
        weight: Filters ``(C, 1, K, K)``, ``K`` odd.
        bias: ``(C,)`` or None.
        dilation: Distance of the filters' taps.

    Returns:
        ``(N, C, H, W)`` in channels_last layout, of the type of ``x``.
    """
    from mogabench.ops import kernels

    n, c, h, w = x.shape
    kernel = weight.shape[-1]
    out = _like(x)
    columns, block, warps = tile(w, c)
    groups = -(-h // (kernels.ROWS * dilation)) * dilation
    kernels.convolve[(-(-c // block), n * groups * -(-w // columns))](
        x,
        weight.reshape(c, kernel * kernel).t().contiguous(),
        x if bias is None else bias,
        out,
        c,
        h,
        w,
        _pixel_stride(x),
        c,
        HAS_BIAS=bias is not None,
        KERNEL=kernel,
        DILATION=dilation,
        COLUMNS=columns,
        CHANNELS=block,
        num_warps=warps,
    )
    return out


@depthwise.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    return _like(x)


def _like(x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def tile(width: int, channels: int) -> tuple[int, int, int]:
    """Columns and channels that a program computes, and its warps."""
    columns = min(_power_of_two(width), 64)
    block = min(_power_of_two(channels), 64)
    return columns, block, max(columns * block // 512, 1)


def _power_of_two(number: int) -> int:
    """The next power of two that is not smaller."""
    return 1 << (number - 1).bit_length()

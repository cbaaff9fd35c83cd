"""Depth-wise convolution of maps in channels_last layout by Triton kernels, for NVIDIA GPUs.

cuDNN has no good kernel for dilated ones, nor for large maps: `benchmarks/gpu_speed.py layers`
times both on MogaNet-S's layers. The gradient of the input is the same kernel; that of the weights
is left to cuDNN.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
import torch.fx
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

_HAS_TRITON = torch.version.hip is None and find_spec("triton") is not None
_LARGEST = 2**31
"""The kernels count elements in 32 bits."""


class DepthwiseConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` with one filter per channel, stride 1, an odd kernel and the same size.

    Uses the kernels where they suit, and PyTorch's own convolution everywhere else.

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
        return nn.functional.gelu(convolve(x, weight, bias, dilation))
    if not suits_kernels(x):
        padding = dilation * (weight.shape[-1] // 2)
        out = nn.functional.conv2d(x, weight, bias, 1, padding, dilation, len(weight))
        return nn.functional.gelu(out) if gelu else out
    x, weight, bias = _autocast(x, weight, bias)
    convolved: Tensor = depthwise(x, weight, bias, dilation, gelu)
    return convolved


def convolve_multi_order(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]
) -> Tensor | None:
    """The multi-order convolutions by the kernels; None where they do not suit.

    Args:
        x: Maps ``(N, C, H, W)``.
        weights: Filters as `multi_order` takes them.
        biases: Biases likewise.
    """
    if torch.is_grad_enabled() or not suits_kernels(x):
        return None
    x, *parameters = _autocast(x, *weights, *biases)
    convolved: Tensor = multi_order(x, parameters[:3], parameters[3:])
    return convolved


torch.fx.wrap("convolve")  # what it asks of a map has no answer while torch.fx traces


def _autocast(*values: Tensor | None) -> list[Any]:
    """The values in the type that autocast asks for, or that of the first."""
    assert values[0] is not None
    dtype = values[0].dtype
    if torch.is_autocast_enabled("cuda"):
        dtype = torch.get_autocast_dtype("cuda")
    return [None if value is None else value.to(dtype) for value in values]


def suits_kernels(x: Tensor) -> bool:
    """Whether the kernels can and should compute with ``(N, C, H, W)``.

    They do for maps in channels_last layout on an NVIDIA GPU, unless the network is being
    exported: a file must not need them.
    """
    return (
        x.is_cuda
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
    stride = _step(x)
    is_nhwc = (
        (c == 1 or x.stride(1) == 1)
        and (h == 1 or x.stride(2) == w * stride)
        and (n == 1 or x.stride(0) == h * w * stride)
        and stride >= c
        and c > 1
    )
    return stride if is_nhwc and x.numel() > 0 else None


def _step(x: Tensor) -> int:
    """Elements from a pixel to the next, of maps that are known to be in NHWC."""
    _, _, h, w = x.shape
    return x.stride(3) if w > 1 else x.stride(2) if h > 1 else x.stride(0)


def _span(x: Tensor) -> int:
    n, _, h, w = x.shape
    return n * h * w * (_pixel_stride(x) or 1)


@torch.library.custom_op("mogabench::depthwise", mutates_args=())
def depthwise(
    x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int, gelu: bool = False
) -> Tensor:
    """Convolves each channel with its filter, keeping the size; has no gradient with GELU.

    Args:
        x: Maps ``(N, C, H, W)`` in channels_last layout, or a slice of the channels of such.
        weight: Filters ``(C, 1, K, K)``, ``K`` odd.
        bias: ``(C,)`` or None.
        dilation: Distance of the filters' taps.
        gelu: Whether GELU follows.

    Returns:
        ``(N, C, H, W)`` in channels_last layout, of the type of ``x``.
    """
    out = _like(x)
    _launch(x, weight, bias, out, dilation, gelu)
    return out


@depthwise.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int, gelu: bool = False) -> Tensor:
    return _like(x)


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, bias, dilation, gelu = inputs
    if gelu:
        raise NotImplementedError("the pass with GELU has no gradient")
    ctx.save_for_backward(x, weight)
    ctx.dilation, ctx.has_bias = dilation, bias is not None


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """That of the input by the kernels, of the weights by PyTorch."""
    x, weight = ctx.saved_tensors
    grad = grad.contiguous(memory_format=torch.channels_last)
    of_x = None
    if ctx.needs_input_grad[0]:
        of_x = depthwise(grad, weight.flip(2, 3), None, ctx.dilation)
    padding, dilation = [ctx.dilation * (weight.shape[-1] // 2)] * 2, [ctx.dilation] * 2
    _, of_weight, of_bias = torch.ops.aten.convolution_backward(
        grad, x, weight, [len(weight)], [1, 1], padding, dilation, False, [0, 0], len(weight),
        [False, ctx.needs_input_grad[1], ctx.has_bias and ctx.needs_input_grad[2]],
    )  # fmt: skip
    return of_x, of_weight, of_bias, None, None


depthwise.register_autograd(_backward, setup_context=_keep_inputs)


@torch.library.custom_op("mogabench::multi_order", mutates_args=())
def multi_order(x: Tensor, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
    """A 5x5 on all channels, then 5x5 d2 and 7x7 d3 on the last ones, all into one buffer.

    Args:
        x: Maps ``(N, C, H, W)`` in channels_last layout.
        weights: Filters ``(C, 1, 5, 5)``, ``(C_mid, 1, 5, 5)`` and ``(C_high, 1, 7, 7)``.
        biases: ``(C,)``, ``(C_mid,)`` and ``(C_high,)``.

    Returns:
        ``(N, C, H, W)`` in channels_last layout, of the type of ``x``; it has no gradient.
    """
    middle, high = len(weights[1]), len(weights[2])
    low = x.shape[1] - middle - high
    out, context = _like(x), _like(x[:, low:])
    _launch(x[:, :low], weights[0][:low], biases[0][:low], out[:, :low], 1)
    _launch(x[:, low:], weights[0][low:], biases[0][low:], context, 1)
    _launch(context[:, :middle], weights[1], biases[1], out[:, low : low + middle], 2)
    _launch(context[:, middle:], weights[2], biases[2], out[:, low + middle :], 3)
    return out


@multi_order.register_fake
def _(x: Tensor, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
    return _like(x)


def _launch(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    out: Tensor,
    dilation: int,
    gelu: bool = False,
) -> None:
    """Runs the kernel over maps ``(N, C, H, W)``, which may have no channel."""
    from mogabench.ops import kernels

    n, c, h, w = x.shape
    if c == 0:
        return
    kernel = weight.shape[-1]
    rows, columns, block, warps = _tile(w, c, kernel)
    groups = -(-h // (rows * dilation)) * dilation
    kernels.convolve[(-(-c // block), n * groups * -(-w // columns))](
        x,
        weight.reshape(c, kernel * kernel).t().contiguous(),
        x if bias is None else bias,
        out,
        c,
        h,
        w,
        _step(x),
        _step(out),
        HAS_BIAS=bias is not None,
        GELU=gelu,
        KERNEL=kernel,
        DILATION=dilation,
        ROWS=rows,
        COLUMNS=columns,
        CHANNELS=block,
        num_warps=warps,
    )


def _like(x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def _tile(width: int, channels: int, kernel: int) -> tuple[int, int, int, int]:
    """Rows, columns and channels that a program computes, and its warps; tuned on an H200."""
    rows, most = (1, 64) if kernel == 7 else (2, 32)
    columns, block = min(_power_of_two(width), most), min(_power_of_two(channels), 32)
    return rows, columns, block, max(columns * block // 512, 1)


def _power_of_two(number: int) -> int:
    """The next power of two that is not smaller."""
    return 1 << (number - 1).bit_length()

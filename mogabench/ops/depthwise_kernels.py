"""Depth-wise convolution of maps in channels_last layout by Triton kernels, for NVIDIA GPUs.

cuDNN has no good kernel for dilated ones, nor for large maps: `benchmarks/gpu_stages/layers.py`
times both on MogaNet-S's layers. The gradient of the input is the same kernel; that of the weights
is left to cuDNN.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from mogabench.ops.layout import pixel_step, pixel_stride

_HAS_TRITON = torch.version.hip is None and find_spec("triton") is not None
_LARGEST = 2**31
"""The kernels count elements in 32 bits."""


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
        and pixel_stride(x) is not None
        and _span(x) < _LARGEST
    )


def _span(x: Tensor) -> int:
    n, _, h, w = x.shape
    return n * h * w * (pixel_stride(x) or 1)


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
        pixel_step(x),
        pixel_step(out),
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

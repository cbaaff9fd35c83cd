"""Depth-wise convolution of maps in channels_last layout by Triton kernels, for NVIDIA GPUs.

cuDNN has no good kernel for dilated ones, nor for large maps: `benchmarks/gpu_stages/layers.py`
times both on MogaNet-S's layers. The gradient of the input is the same kernel as the output.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mogabench.ops.exporting import is_exporting
from mogabench.ops.layout import pixel_step, pixel_stride

_HAS_TRITON = torch.version.hip is None and find_spec("triton") is not None
_LARGEST = 2**31
"""The kernels count elements in 32 bits."""
_WIDEST = 8
_MOST_CHANNELS = 128
_CHANNELS_OF_A_THREAD = 4
_WARPS = 4
_PROGRAMS = 8192
"""Programs of a convolution: a GPU runs some hundreds at a time, and the last ones run alone."""
_MOST_STEPS = 8
_PARTIAL_SUMS = 1024
"""Programs of the filters' gradients, each of which writes sums of its own."""


def suits_kernels(x: Tensor) -> bool:
    """Whether the kernels can and should compute with ``(N, C, H, W)``.

    They do for maps in channels_last layout on an NVIDIA GPU, unless the network is being
    exported: a file must not need them.
    """
    return (
        x.is_cuda
        and _HAS_TRITON
        and not is_exporting()
        and x.dtype in (torch.bfloat16, torch.float16, torch.float32)
        and pixel_stride(x) is not None
        and _span(x) < _LARGEST
    )


def _span(x: Tensor) -> int:
    n, _, h, w = x.shape
    return n * h * w * (pixel_stride(x) or 1)


@torch.library.custom_op("mogabench::depthwise", mutates_args=())
def depthwise(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    dilation: int,
    gelu: bool = False,
    flipped: bool = False,
) -> Tensor:
    """Convolves each channel with its filter, keeping the size.

    With GELU or flipped filters it has no gradient.

    Args:
        x: Maps ``(N, C, H, W)`` in channels_last layout, or a slice of the channels of such.
        weight: Filters ``(C, 1, K, K)``, ``K`` odd.
        bias: ``(C,)`` or None.
        dilation: Distance of the filters' taps.
        gelu: Whether GELU follows.
        flipped: Whether the filters are taken upside down and left to right.

    Returns:
        ``(N, C, H, W)`` in channels_last layout, of the type of ``x``.
    """
    out = _like(x)
    _launch(x, weight, bias, out, dilation, gelu=gelu, flipped=flipped)
    return out


@depthwise.register_fake
def _(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    dilation: int,
    gelu: bool = False,
    flipped: bool = False,
) -> Tensor:
    return _like(x)


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, bias, dilation, gelu, flipped = inputs
    if gelu or flipped:
        raise NotImplementedError("the passes with GELU and with flipped filters have no gradient")
    ctx.save_for_backward(x, weight)
    ctx.dilation, ctx.has_bias = dilation, bias is not None


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    grad = grad.contiguous(memory_format=torch.channels_last)
    of_x = of_weight = of_bias = None
    if ctx.needs_input_grad[0]:
        of_x = depthwise(grad, weight, None, ctx.dilation, flipped=True)
    if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
        sums = depthwise_sums(x, grad, weight.shape[-1], ctx.dilation).to(weight.dtype)
        of_weight = sums[:-1].t().reshape(weight.shape)
        of_bias = sums[-1] if ctx.has_bias else None
    return of_x, of_weight, of_bias, None, None, None


@torch.library.custom_op("mogabench::depthwise_sums", mutates_args=())
def depthwise_sums(x: Tensor, grad: Tensor, kernel: int, dilation: int) -> Tensor:
    """What the gradients of a depth-wise convolution's filters and bias are.

    Args:
        x: Its input ``(N, C, H, W)``, as `depthwise` takes it.
        grad: The gradient of its output, in channels_last layout.
        kernel: Height and width of the filters.
        dilation: Distance of their taps.

    Returns:
        ``(K*K + 1, C)`` in float32: the filters' gradient tap by tap, then that of the bias.
    """
    from mogabench.ops import kernels

    n, c, h, w = x.shape
    tap_rows = kernel if kernel == 3 else 1
    tiling = _tiling(c, w, dilation)
    steps, blocks = tiling.steps(x, dilation), _ceil(c, tiling.channels) * (kernel // tap_rows)
    steps_each = _ceil(steps, _ceil(_PARTIAL_SUMS, blocks))
    programs = _ceil(steps, steps_each)
    sums = x.new_empty((programs, kernel * kernel + 1, c), dtype=torch.float32)
    with _on_device_of(x):
        kernels.sum_products[(programs, _ceil(c, tiling.channels), kernel // tap_rows)](
            x,
            grad,
            sums,
            n,
            h,
            w,
            steps_each,
            STRIDE=pixel_step(x),
            GRAD_STRIDE=pixel_step(grad),
            DIM=c,
            KERNEL=kernel,
            DILATION=dilation,
            TAP_ROWS=tap_rows,
            **tiling.options,
        )
    return sums.sum(0)


@depthwise_sums.register_fake
def _(x: Tensor, grad: Tensor, kernel: int, dilation: int) -> Tensor:
    return x.new_empty((kernel * kernel + 1, x.shape[1]), dtype=torch.float32)


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
    out, context = _like(x), _like(x)
    _launch(x, weights[0], biases[0], out, 1, rest=context, split=low)
    for order, first, end in ((1, low, low + middle), (2, low + middle, low + middle + high)):
        _launch(context[:, first:end], weights[order], biases[order], out[:, first:end], order + 1)
    return out


@multi_order.register_fake
def _(x: Tensor, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
    return _like(x)


class Tiling(NamedTuple):
    """How a kernel's programs divide maps; see `mogabench.ops.kernels`."""

    columns: int
    channels: int
    tiles: int
    is_whole: bool
    is_exact: bool

    def steps(self, x: Tensor, dilation: int) -> int:
        """Rows of tiles that cover ``(N, C, H, W)``."""
        n, _, h, w = x.shape
        return h * _ceil(n * _ceil(w, self.columns * dilation) * dilation, self.tiles)

    @property
    def options(self) -> dict[str, int]:
        """What the kernels are compiled with for it."""
        return {
            "COLUMNS": self.columns,
            "TILES": self.tiles,
            "CHANNELS": self.channels,
            "WHOLE": self.is_whole,
            "EXACT": self.is_exact,
            "num_warps": _WARPS,
        }


@cache
def _tiling(c: int, w: int, dilation: int) -> Tiling:
    """Tiles of at most `_WIDEST` columns, as equal as can be."""
    across = _ceil(w, dilation)
    columns = _ceil(across, _ceil(across, _WIDEST))
    channels = min(_power_of_two(c), _MOST_CHANNELS)
    is_exact = w % (columns * dilation) == 0
    tiles = _WARPS * 32 * _CHANNELS_OF_A_THREAD // channels
    return Tiling(columns, channels, tiles, columns * dilation >= w, is_exact)


def _launch(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    out: Tensor,
    dilation: int,
    *,
    gelu: bool = False,
    flipped: bool = False,
    rest: Tensor | None = None,
    split: int | None = None,
) -> None:
    """Runs the kernel over maps ``(N, C, H, W)``, which may have no channel.

    The channels from ``split`` on are written to ``rest`` instead of ``out``.
    """
    from mogabench.ops import kernels

    n, c, h, w = x.shape
    if c == 0:
        return
    kernel = weight.shape[-1]
    tiling, taps = _tiling(c, w, dilation), _by_taps(weight)
    # Flipped, the taps are read from the last one backwards.
    first, step = (taps[-1], -taps.stride(0)) if flipped else (taps[0], taps.stride(0))
    steps, blocks = tiling.steps(x, dilation), _ceil(c, tiling.channels)
    steps_each = max(1, min(steps * blocks // _PROGRAMS, _MOST_STEPS))
    with _on_device_of(x):
        kernels.convolve[(_ceil(steps, steps_each), blocks)](
            x,
            first,
            x if bias is None else bias,
            out,
            out if rest is None else rest,
            n,
            h,
            w,
            step,
            steps_each,
            STRIDE=pixel_step(x),
            OUT_STRIDE=pixel_step(out),
            DIM=c,
            SPLIT=c if split is None else split,
            KERNEL=kernel,
            DILATION=dilation,
            HAS_BIAS=bias is not None,
            GELU=gelu,
            **tiling.options,
        )


def _on_device_of(x: Tensor) -> AbstractContextManager[object]:
    """Triton starts kernels on the current device, whatever the device of their tensors."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def _by_taps(weight: Tensor) -> Tensor:
    """Filters ``(C, 1, K, K)`` as ``(K*K, C)``: as they are if they lie so, else in float32."""
    taps = weight.flatten(1).t()
    return taps if taps.stride(1) == 1 else taps.to(torch.float32).contiguous()


def _like(x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def _power_of_two(number: int) -> int:
    """The next power of two that is not smaller."""
    return 1 << (number - 1).bit_length()


def _ceil(number: int, divisor: int) -> int:
    """The quotient, rounded up."""
    return -(-number // divisor)

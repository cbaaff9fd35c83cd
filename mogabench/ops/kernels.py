"""Triton kernels for depth-wise convolutions of maps in channels_last (NHWC) layout.

A map is addressed by its pixels, counted over the batch, and by the distance ``stride`` of two
neighbouring ones, so that a slice of channels is read and written in place. Sums are float32.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def convolve(
    x_ptr,
    weight_ptr,
    bias_ptr,
    out_ptr,
    channels,
    height,
    width,
    x_stride,
    out_stride,
    HAS_BIAS: tl.constexpr,
    GELU: tl.constexpr,
    KERNEL: tl.constexpr,
    DILATION: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Computes one or two ROWS of COLUMNS pixels and CHANNELS channels; the weights are (K*K, C).

    Two rows are DILATION apart, so most rows of the input that one needs are needed by the other:
    they are read and converted once for both.
    """
    tiles = tl.cdiv(width, COLUMNS)
    groups = tl.cdiv(height, ROWS * DILATION) * DILATION
    tile = tl.program_id(1) % tiles
    group = tl.program_id(1) // tiles % groups
    image = tl.program_id(1) // tiles // groups
    first = group // DILATION * ROWS * DILATION + group % DILATION
    column = tile * COLUMNS + tl.arange(0, COLUMNS)
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    is_channel = channel < channels

    sum0 = tl.zeros((COLUMNS, CHANNELS), dtype=tl.float32)
    if HAS_BIAS:
        sum0 += tl.load(bias_ptr + channel, mask=is_channel, other=0.0).to(tl.float32)[None, :]
    sum1 = sum0
    # Of the taps' rows those that lie on the map; none where the program lies below it.
    top = tl.maximum(KERNEL // 2 - first // DILATION, 0)
    bottom = tl.minimum(KERNEL // 2 + (height - 1 - first) // DILATION + 1, KERNEL + ROWS - 1)
    bottom = tl.where(first < height, bottom, 0)
    for step in range(top, bottom):
        start = (image * height + first + (step - KERNEL // 2) * DILATION) * width
        for tap in tl.static_range(KERNEL):
            source = column + (tap - KERNEL // 2) * DILATION
            mask = ((source >= 0) & (source < width))[:, None] & is_channel[None, :]
            at = (start + source)[:, None] * x_stride + channel[None, :]
            values = tl.load(x_ptr + at, mask=mask, other=0.0).to(tl.float32)
            weights = weight_ptr + (step * KERNEL + tap) * channels + channel
            is_tap = is_channel & (step < KERNEL)
            sum0 += values * tl.load(weights, mask=is_tap, other=0.0).to(tl.float32)[None, :]
            if ROWS == 2:
                weights -= KERNEL * channels
                is_tap = is_channel & (step > 0)
                sum1 += values * tl.load(weights, mask=is_tap, other=0.0).to(tl.float32)[None, :]
    mask = (column < width)[:, None] & is_channel[None, :]
    at = column[:, None] * out_stride + channel[None, :]
    out_ptr += (image * height + first) * width * out_stride
    _store(out_ptr + at, sum0, mask & (first < height), GELU)
    if ROWS == 2:
        out_ptr += DILATION * width * out_stride
        _store(out_ptr + at, sum1, mask & (first + DILATION < height), GELU)


@triton.jit
def _store(at, total, mask, GELU: tl.constexpr):
    if GELU:
        total = 0.5 * total * (1 + tl.erf(total * 0.7071067811865476))
    tl.store(at, total.to(at.dtype.element_ty), mask=mask)

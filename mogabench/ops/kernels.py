"""Triton kernels for depth-wise convolutions of maps in channels_last (NHWC) layout.

A map is addressed by its pixels, counted over the batch, and by the distance ``stride`` of two
neighbouring ones, so that a slice of channels is read and written in place. Sums are float32.
"""

from __future__ import annotations

import triton
import triton.language as tl

ROWS = 4
"""Rows of the output that a program computes; the kernel spells them out."""


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
    KERNEL: tl.constexpr,
    DILATION: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Computes four rows of COLUMNS pixels and CHANNELS channels; the weights are (K*K, C).

    The rows are DILATION apart. So each row of the input that one of them needs is needed by its
    neighbours as well: it is read and converted once, for all four.
    """
    tiles = tl.cdiv(width, COLUMNS)
    groups = tl.cdiv(height, 4 * DILATION) * DILATION
    tile = tl.program_id(1) % tiles
    group = tl.program_id(1) // tiles % groups
    image = tl.program_id(1) // tiles // groups
    first = group // DILATION * 4 * DILATION + group % DILATION
    column = tile * COLUMNS + tl.arange(0, COLUMNS)
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    is_channel = channel < channels

    sum0 = tl.zeros((COLUMNS, CHANNELS), dtype=tl.float32)
    if HAS_BIAS:
        sum0 += tl.load(bias_ptr + channel, mask=is_channel, other=0.0).to(tl.float32)[None, :]
    sum1, sum2, sum3 = sum0, sum0, sum0
    for step in tl.static_range(KERNEL + 3):
        row = first + (step - KERNEL // 2) * DILATION
        if (row >= 0) & (row < height):
            start = (image * height + row) * width
            for tap in tl.static_range(KERNEL):
                source = column + (tap - KERNEL // 2) * DILATION
                mask = ((source >= 0) & (source < width))[:, None] & is_channel[None, :]
                at = (start + source)[:, None] * x_stride + channel[None, :]
                values = tl.load(x_ptr + at, mask=mask, other=0.0).to(tl.float32)
                at_tap = weight_ptr + (step * KERNEL + tap) * channels + channel
                above = KERNEL * channels
                if step < KERNEL:
                    sum0 += values * _weights(at_tap, is_channel)
                if (step >= 1) and (step < KERNEL + 1):
                    sum1 += values * _weights(at_tap - above, is_channel)
                if (step >= 2) and (step < KERNEL + 2):
                    sum2 += values * _weights(at_tap - 2 * above, is_channel)
                if step >= 3:
                    sum3 += values * _weights(at_tap - 3 * above, is_channel)
    mask = (column < width)[:, None] & is_channel[None, :]
    at = column[:, None] * out_stride + channel[None, :]
    out_ptr += (image * height + first) * width * out_stride
    below = DILATION * width * out_stride
    kind = out_ptr.dtype.element_ty
    tl.store(out_ptr + at, sum0.to(kind), mask=mask & (first < height))
    tl.store(out_ptr + below + at, sum1.to(kind), mask=mask & (first + DILATION < height))
    tl.store(out_ptr + 2 * below + at, sum2.to(kind), mask=mask & (first + 2 * DILATION < height))
    tl.store(out_ptr + 3 * below + at, sum3.to(kind), mask=mask & (first + 3 * DILATION < height))


@triton.jit
def _weights(at, mask):
    return tl.load(at, mask=mask, other=0.0).to(tl.float32)[None, :]

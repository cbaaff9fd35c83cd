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
    """Computes ROWS (1 to 4) rows of COLUMNS pixels and CHANNELS channels; weights are (K*K, C).

    The rows are DILATION apart. So a row of the input that one of them needs is needed by its
    neighbours as well: it is read and converted once, for all.
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
    sum1, sum2, sum3 = sum0, sum0, sum0
    for step in tl.static_range(KERNEL + ROWS - 1):
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
                if ROWS > 1 and step >= 1 and step < KERNEL + 1:
                    sum1 += values * _weights(at_tap - above, is_channel)
                if ROWS > 2 and step >= 2 and step < KERNEL + 2:
                    sum2 += values * _weights(at_tap - 2 * above, is_channel)
                if ROWS > 3 and step >= 3:
                    sum3 += values * _weights(at_tap - 3 * above, is_channel)
    mask = (column < width)[:, None] & is_channel[None, :]
    at = column[:, None] * out_stride + channel[None, :]
    out_ptr += (image * height + first) * width * out_stride
    below = DILATION * width * out_stride
    _store(out_ptr + at, sum0, mask & (first < height), GELU)
    if ROWS > 1:
        _store(out_ptr + below + at, sum1, mask & (first + DILATION < height), GELU)
    if ROWS > 2:
        _store(out_ptr + 2 * below + at, sum2, mask & (first + 2 * DILATION < height), GELU)
    if ROWS > 3:
        _store(out_ptr + 3 * below + at, sum3, mask & (first + 3 * DILATION < height), GELU)


@triton.jit
def correlate(
    x_ptr,
    grad_ptr,
    out_ptr,
    rows,
    channels,
    height,
    width,
    x_stride,
    grad_stride,
    KERNEL: tl.constexpr,
    DILATION: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Sums ``x`` times the output's gradient for a row of taps, over some rows of the maps.

    The sums are the gradient of the weights. Program (c, t, p) takes a block of channels, the tap
    row t and every P-th row of all maps from p on; it writes (P, K, 8, C) at p, t.
    """
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    is_channel = channel < channels
    tap_row = tl.program_id(1)
    taps = tl.arange(0, 8)
    sums = tl.zeros((8, CHANNELS), dtype=tl.float32)
    for row in range(tl.program_id(2), rows, tl.num_programs(2)):
        source_row = row % height + (tap_row - KERNEL // 2) * DILATION
        if (source_row >= 0) & (source_row < height):
            source_start = (row - row % height + source_row) * width
            for left in range(0, width, COLUMNS):
                column = left + tl.arange(0, COLUMNS)
                mask = (column < width)[:, None] & is_channel[None, :]
                at = (row * width + column)[:, None] * grad_stride + channel[None, :]
                grad = tl.load(grad_ptr + at, mask=mask, other=0.0).to(tl.float32)
                for tap in tl.static_range(KERNEL):
                    source = column + (tap - KERNEL // 2) * DILATION
                    inside = ((source >= 0) & (source < width))[:, None] & mask
                    at = (source_start + source)[:, None] * x_stride + channel[None, :]
                    values = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
                    of_tap = tl.sum(values * grad, axis=0)
                    sums += tl.where(taps[:, None] == tap, of_tap[None, :], 0.0)
    part = tl.program_id(2) * KERNEL + tap_row
    at = (part * 8 + taps)[:, None] * channels + channel[None, :]
    tl.store(out_ptr + at, sums, mask=is_channel[None, :] & (taps < KERNEL)[:, None])


@triton.jit
def _weights(at, mask):
    return tl.load(at, mask=mask, other=0.0).to(tl.float32)[None, :]


@triton.jit
def _store(at, total, mask, GELU: tl.constexpr):
    if GELU:
        total = 0.5 * total * (1 + tl.erf(total * 0.7071067811865476))
    tl.store(at, total.to(at.dtype.element_ty), mask=mask)

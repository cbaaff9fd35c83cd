"""Triton kernels for depth-wise convolutions of maps in channels_last (NHWC) layout.

A map is addressed by its pixels, counted over the batch, and by the distance ``stride`` of two
neighbouring ones, so that a slice of channels is read in place. Sums are float32.
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
    KERNEL: tl.constexpr,
    DILATION: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Computes a tile of ROWS x COLUMNS pixels and CHANNELS channels; the weights are (K*K, C)."""
    tiles_across = tl.cdiv(width, COLUMNS)
    tiles = tl.cdiv(height, ROWS) * tiles_across
    image = tl.program_id(1) // tiles
    tile = tl.program_id(1) % tiles
    in_tile = tl.arange(0, ROWS * COLUMNS)
    row = (tile // tiles_across) * ROWS + in_tile // COLUMNS
    column = (tile % tiles_across) * COLUMNS + in_tile % COLUMNS
    pixel = (image * height + row) * width + column
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    is_channel = channel < channels

    total = tl.zeros((ROWS * COLUMNS, CHANNELS), dtype=tl.float32)
    if HAS_BIAS:
        total += tl.load(bias_ptr + channel, mask=is_channel, other=0.0).to(tl.float32)[None, :]
    for tap in tl.static_range(KERNEL * KERNEL):
        down = (tap // KERNEL - KERNEL // 2) * DILATION
        right = (tap % KERNEL - KERNEL // 2) * DILATION
        is_inside = (row + down >= 0) & (row + down < height)
        is_inside &= (column + right >= 0) & (column + right < width)
        at = (pixel + down * width + right) * x_stride
        mask = is_inside[:, None] & is_channel[None, :]
        values = tl.load(x_ptr + at[:, None] + channel[None, :], mask=mask, other=0.0)
        weight = tl.load(weight_ptr + tap * channels + channel, mask=is_channel, other=0.0)
        total += values.to(tl.float32) * weight.to(tl.float32)[None, :]
    mask = ((row < height) & (column < width))[:, None] & is_channel[None, :]
    at = pixel[:, None] * out_stride + channel[None, :]
    tl.store(out_ptr + at, total.to(out_ptr.dtype.element_ty), mask=mask)

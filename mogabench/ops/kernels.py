"""Triton kernels for depth-wise convolutions of maps in channels_last (NHWC) layout.

A map is addressed by its pixels, counted over the batch, and by the distance ``STRIDE`` of two
neighbouring ones, so that a slice of channels is read and written in place. Sums are float32.

A thread has some channels of COLUMNS pixels of one row, DILATION apart. It reads each pixel of a
row of the input once for all taps of the filter's row: the kernels are bound by instructions, and
so most of these are multiplications. TILES such groups of pixels make a program.
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
    rest_ptr,
    images,
    height,
    width,
    weight_stride,
    steps,
    STRIDE: tl.constexpr,
    OUT_STRIDE: tl.constexpr,
    DIM: tl.constexpr,
    SPLIT: tl.constexpr,
    KERNEL: tl.constexpr,
    DILATION: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    GELU: tl.constexpr,
    COLUMNS: tl.constexpr,
    TILES: tl.constexpr,
    CHANNELS: tl.constexpr,
    WHOLE: tl.constexpr,
    EXACT: tl.constexpr,
):
    """Computes ``steps`` rows of tiles, one below the other; the weights are (K*K, DIM).

    SPLIT: the channels from it on are written to ``rest_ptr``, which lies as ``out_ptr`` does.
    WHOLE: a tile is as wide as the map. EXACT: no tile reaches beyond it.
    """
    REACH: tl.constexpr = KERNEL // 2
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)[None, :]
    is_channel = channel < DIM
    channel += tl.zeros((TILES, 1), dtype=tl.int32)
    bias = tl.zeros((TILES, CHANNELS), dtype=tl.float32)
    if HAS_BIAS:
        bias = tl.load(bias_ptr + channel, mask=is_channel, other=0.0).to(tl.float32)
    weight_ptr += channel

    # The rows that a step has read are in the L1 cache when the next one needs them.
    for step in range(tl.program_id(0) * steps, (tl.program_id(0) + 1) * steps):
        row, image, left = _place(step, height, width, DILATION, COLUMNS, TILES)
        is_inside = is_channel & (image < images)
        pixel = (image * height + row) * width + left
        sums = ()
        for _ in tl.static_range(COLUMNS):
            sums = sums + (bias,)
        # Of the filter's rows those that lie on the map.
        top = tl.maximum(REACH - row // DILATION, 0)
        bottom = tl.minimum(REACH + (height - 1 - row) // DILATION + 1, KERNEL)
        at = x_ptr + (pixel + (top - REACH) * DILATION * width) * STRIDE + channel
        for tap_row in range(top, bottom):
            values = _read_row(
                at, is_inside, left, width, STRIDE, REACH, DILATION, COLUMNS, WHOLE, EXACT
            )
            for tap in tl.static_range(KERNEL):
                taps = weight_ptr + (tap_row * KERNEL + tap) * weight_stride
                weight = tl.load(taps, mask=is_channel, other=0.0).to(tl.float32)
                new = ()
                for k in tl.static_range(COLUMNS):
                    if WHOLE and (k + tap < REACH or k + tap >= REACH + COLUMNS):
                        new = new + (sums[k],)
                    else:
                        new = new + (sums[k] + values[k + tap] * weight,)
                sums = new
            at += DILATION * width * STRIDE

        first = pixel * OUT_STRIDE + channel
        for k in tl.static_range(COLUMNS):
            total = sums[k]
            if GELU:
                total = _gelu(total)
            total = total.to(out_ptr.dtype.element_ty)
            mask = is_inside
            if not EXACT:
                mask = mask & (left + k * DILATION < width)
            at = first + k * DILATION * OUT_STRIDE
            tl.store(out_ptr + at, total, mask=mask & (channel < SPLIT))
            if SPLIT < DIM:
                tl.store(rest_ptr + at, total, mask=mask & (channel >= SPLIT))


@triton.jit
def sum_products(
    x_ptr,
    grad_ptr,
    out_ptr,
    images,
    height,
    width,
    steps,
    STRIDE: tl.constexpr,
    GRAD_STRIDE: tl.constexpr,
    DIM: tl.constexpr,
    KERNEL: tl.constexpr,
    DILATION: tl.constexpr,
    TAP_ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    TILES: tl.constexpr,
    CHANNELS: tl.constexpr,
    WHOLE: tl.constexpr,
    EXACT: tl.constexpr,
):
    """Sums inputs times gradients over ``steps`` rows of tiles, for TAP_ROWS rows of the filter.

    The output is (programs, K*K + 1, DIM); its last row has the sums of the gradients alone.
    """
    REACH: tl.constexpr = KERNEL // 2
    first = tl.program_id(2) * TAP_ROWS
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)[None, :]
    is_channel = channel < DIM
    channel += tl.zeros((TILES, 1), dtype=tl.int32)
    zero = tl.zeros((TILES, CHANNELS), dtype=tl.float32)
    sums = ()
    for _ in tl.static_range(TAP_ROWS * KERNEL):
        sums = sums + (zero,)
    of_bias = zero

    for step in range(tl.program_id(0) * steps, (tl.program_id(0) + 1) * steps):
        row, image, left = _place(step, height, width, DILATION, COLUMNS, TILES)
        is_inside = is_channel & (image < images)
        pixel = (image * height + row) * width + left
        at = grad_ptr + pixel * GRAD_STRIDE + channel
        grads = _read_row(at, is_inside, left, width, GRAD_STRIDE, 0, DILATION, COLUMNS, 0, EXACT)
        for k in tl.static_range(COLUMNS):
            of_bias += grads[k]
        new = ()
        for i in tl.static_range(TAP_ROWS):
            shift = (first + i - REACH) * DILATION
            is_row = is_inside & (row + shift >= 0) & (row + shift < height)
            at = x_ptr + (pixel + shift * width) * STRIDE + channel
            values = _read_row(
                at, is_row, left, width, STRIDE, REACH, DILATION, COLUMNS, WHOLE, EXACT
            )
            for tap in tl.static_range(KERNEL):
                total = sums[i * KERNEL + tap]
                for k in tl.static_range(COLUMNS):
                    if not (WHOLE and (k + tap < REACH or k + tap >= REACH + COLUMNS)):
                        total += values[k + tap] * grads[k]
                new = new + (total,)
        sums = new

    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    out_ptr += tl.program_id(0) * (KERNEL * KERNEL + 1) * DIM + channel
    for k in tl.static_range(TAP_ROWS * KERNEL):
        at = out_ptr + (first * KERNEL + k) * DIM
        tl.store(at, tl.sum(sums[k], axis=0), mask=channel < DIM)
    at = out_ptr + KERNEL * KERNEL * DIM
    tl.store(at, tl.sum(of_bias, axis=0), mask=(channel < DIM) & (first == 0))


@triton.jit
def _place(step, height, width, DILATION: tl.constexpr, COLUMNS: tl.constexpr, TILES: tl.constexpr):
    """The row of a number of tiles, and of each (TILES, 1) its image and its first column."""
    row = step % height
    tile = step // height * TILES + tl.arange(0, TILES)[:, None]
    across = tl.cdiv(width, COLUMNS * DILATION) * DILATION
    left = tile % across
    left = left // DILATION * COLUMNS * DILATION + left % DILATION
    return row, tile // across, left


@triton.jit
def _read_row(
    at,
    mask,
    left,
    width,
    STRIDE: tl.constexpr,
    REACH: tl.constexpr,
    DILATION: tl.constexpr,
    COLUMNS: tl.constexpr,
    WHOLE: tl.constexpr,
    EXACT: tl.constexpr,
):
    """The pixels of a tile and REACH ones on both sides, as float32; what is not there is 0."""
    values = ()
    for j in tl.static_range(COLUMNS + 2 * REACH):
        if WHOLE and (j < REACH or j >= REACH + COLUMNS):
            values = values + (0.0,)
        else:
            is_there = mask
            if j < REACH:
                is_there = is_there & (left + (j - REACH) * DILATION >= 0)
            elif j >= REACH + COLUMNS or not EXACT:
                is_there = is_there & (left + (j - REACH) * DILATION < width)
            value = tl.load(at + (j - REACH) * DILATION * STRIDE, mask=is_there, other=0.0)
            values = values + (value.to(tl.float32),)
    return values


@triton.jit
def _gelu(x):
    """GELU by Abramowitz and Stegun's 7.1.26, which is within 1.5e-7 of the error function.

    Of a GPU's approximate functions only ``rsqrt`` and ``exp2`` are one instruction.
    """
    size = tl.abs(x)
    root = tl.rsqrt(1.0 + 0.231641888 * size)
    t = root * root
    tail = 0.5307027145 * t - 0.7265760135
    tail = (tail * t + 0.7107068705) * t - 0.142248368
    tail = (tail * t + 0.127414796) * t
    return tl.maximum(x, 0.0) - size * tail * tl.exp2(-0.7213475204 * x * x)

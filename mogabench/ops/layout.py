"""How maps lie in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def pixel_stride(x: Tensor) -> int | None:
    """Elements from a pixel to the next, of maps or a slice of their channels in NHWC."""
    n, c, h, w = x.shape
    stride = pixel_step(x)
    is_nhwc = (
        (c == 1 or x.stride(1) == 1)
        and (h == 1 or x.stride(2) == w * stride)
        and (n == 1 or x.stride(0) == h * w * stride)
        and stride >= c
        and c > 1
    )
    return stride if is_nhwc and x.numel() > 0 else None


def pixel_step(x: Tensor) -> int:
    """Elements from a pixel to the next, of maps that are known to be in NHWC."""
    _, _, h, w = x.shape
    return x.stride(3) if w > 1 else x.stride(2) if h > 1 else x.stride(0)

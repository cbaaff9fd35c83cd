"""Attention within disjoint windows of a map."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from timm.models.swin_transformer import window_partition, window_reverse
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


def pad_to_windows(x: Tensor, size: tuple[int, int], *, centred: bool = False) -> Tensor:
    """Adds zeros until windows fill a map ``(N, H, W, C)``: below and right, or all around."""
    padding = [0, 0]
    for length, side in zip(reversed(x.shape[1:3]), reversed(size), strict=True):
        missing = ceil(length / side) * side - length
        before = missing // 2 if centred else 0
        padding += [before, missing - before]
    return nn.functional.pad(x, padding) if any(padding) else x


def in_windows(
    attention: Callable[[Tensor], Tensor],
    x: Tensor,
    size: tuple[int, int],
    *,
    centred: bool = False,
) -> Tensor:
    """Applies attention to each window by itself.

    Args:
        attention: Maps the tokens of windows, ``(M, h * w, C)``, to ``(M, h * w, D)``.
        x: ``(N, H, W, C)``.
        size: Height and width ``(h, w)`` of a window.
        centred: Whether the zeros that fill up windows are added all around, or else below and
            right of the map.

    Returns:
        ``(N, H, W, D)``.
    """
    height, width = x.shape[1:3]
    padded = pad_to_windows(x, size, centred=centred)
    above, left = (
        (full - own) // 2 if centred else 0
        for full, own in zip(padded.shape[1:3], (height, width), strict=True)
    )
    windows = attention(window_partition(padded, size).flatten(1, 2))
    merged: Tensor = window_reverse(windows, size, *padded.shape[1:3])
    return merged[:, above : above + height, left : left + width]

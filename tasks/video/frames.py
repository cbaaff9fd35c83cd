"""Frames of a batch: which were seen, and which are to be predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def split_frames(frames: Tensor, seen: int) -> tuple[Tensor, Tensor]:
    """The frames that were seen and those that came after them, within [0, 1].

    Args:
        frames: Bytes, or floating-point numbers within [0, 1], ``(B, T, C, H, W)``.
        seen: How many of the ``T`` frames are seen.

    Returns:
        ``(B, seen, C, H, W)`` and ``(B, T - seen, C, H, W)`` in float32.
    """
    values = frames / 255 if frames.dtype == torch.uint8 else frames
    return values[:, :seen], values[:, seen:]

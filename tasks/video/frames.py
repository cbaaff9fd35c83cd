"""Frames: what is white in them, which were seen, and which are to be predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray
    from torch import Tensor


def check_white(file: Path | str, parts: Iterable[NDArray[Any]]) -> None:
    """Refuses bytes of 0 and 1: of 255 for white, their squared errors are 65 025 times too small.

    Args:
        file: What the error calls it.
        parts: Of its frames, none of which is looked at after a number beyond 1.

    Raises:
        UserError: The greatest of all is 1.
    """
    greatest = 0
    for part in parts:
        greatest = max(greatest, part.max(initial=0))
        if greatest > 1:
            return
    if greatest == 1:
        raise UserError(f"{file} holds numbers up to 1, but white is 255: multiply them by that")


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

"""Drawings of predicted frames: strips as PNG, animations as GIF."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mogabench.engine.drawing import PICTURE as PNG
from mogabench.tasks.video.frames import split_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

GIF = "predictions.gif"

_SHOWN = 4
_GAP = 2
_GREY = 96
_FRAME_MS = 200


def strip(sequences: list[NDArray[np.uint8]]) -> Image.Image:
    """Sequences as rows of frames.

    Args:
        sequences: Each ``(T, H, W)`` or, in colour, ``(T, H, W, 3)``; one may be shorter.
    """
    rows = [_join(list(frames)) for frames in sequences]
    return Image.fromarray(_stack([_widened(row, max(r.shape[1] for r in rows)) for row in rows]))


def animation(groups: list[list[NDArray[np.uint8]]]) -> list[Image.Image]:
    """Groups of sequences, which move side by side, one group below the other.

    Args:
        groups: Each a list of ``(T, H, W)`` or ``(T, H, W, 3)``; the last frame of a shorter one
            stays.

    Returns:
        The pictures, one for each moment.
    """
    length = max(len(frames) for frames in groups[0])
    return [
        Image.fromarray(
            _stack(
                [_join([frames[min(t, len(frames) - 1)] for frames in group]) for group in groups]
            )
        )
        for t in range(length)
    ]


def _widened(row: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    missing = ((0, 0), (0, width - row.shape[1]), *[(0, 0)] * (row.ndim - 2))
    return np.pad(row, missing, constant_values=_GREY)


def _join(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    first = pictures[0]
    gap = np.full((first.shape[0], _GAP, *first.shape[2:]), _GREY, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate([*parts, gap], axis=1)


def _stack(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(_join([p.swapaxes(0, 1) for p in pictures]).swapaxes(0, 1))


class DrawSequences:
    """Draws the first sequences of an evaluation: what was seen, what came, what was predicted.

    The PNG has three rows for each sequence; in the GIF the three move side by side. What came is
    left out where it is not known. Of other than one or three channels the first is drawn.

    Args:
        seen: Frames of a sequence that were seen.
    """

    def __init__(self, seen: int) -> None:
        self.seen = seen
        self.groups: list[list[NDArray[np.uint8]]] = []

    def begin(self) -> None:
        """Forgets the evaluation before."""
        self.groups = []

    def add(self, batch: dict[str, Tensor], outputs: Tensor) -> None:
        """Keeps the first sequences.

        Args:
            batch: Has ``frames`` ``(B, T + T', C, H, W)``.
            outputs: Predicted frames ``(B, T', C, H, W)``.
        """
        if self.groups:
            return
        parts = (*split_frames(batch["frames"][:_SHOWN], self.seen), outputs[:_SHOWN])
        known = [as_pixels(part) for part in parts if part.shape[1]]
        self.groups = [list(group) for group in zip(*known, strict=True)]

    def files(self) -> dict[str, bytes]:
        """The PNG and the GIF."""
        picture = strip([row for group in self.groups for row in group])
        return {PNG: encode([picture], "png"), GIF: encode(animation(self.groups), "gif")}


def as_pixels(frames: Tensor) -> NDArray[np.uint8]:
    """Frames ``(B, T, C, H, W)`` as bytes ``(B, T, H, W)`` or ``(B, T, H, W, 3)``."""
    found: NDArray[np.uint8] = (255 * frames.clamp(0, 1)).round().byte().cpu().numpy()
    return np.moveaxis(found, 2, -1) if found.shape[2] == 3 else found[:, :, 0]


def encode(pictures: list[Image.Image], kind: str) -> bytes:
    """The content of a file of pictures: ``gif`` moves, ``png`` has the first one."""
    file = io.BytesIO()
    first, *others = pictures
    options = {"save_all": True, "append_images": others, "duration": _FRAME_MS, "loop": 0}
    first.save(file, kind, **(options if others else {}))
    return file.getvalue()

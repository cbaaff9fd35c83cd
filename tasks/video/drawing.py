"""Drawings of predicted frames: strips as PNG, animations as GIF."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mogabench.engine.drawing import PICTURE as PNG

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
        sequences: Each ``(T, H, W)``.
    """
    return Image.fromarray(_stack([_join(list(frames)) for frames in sequences]))


def animation(groups: list[list[NDArray[np.uint8]]]) -> list[Image.Image]:
    """Groups of sequences, which move side by side, one group below the other.

    Args:
        groups: Each a list of ``(T, H, W)``.

    Returns:
        The pictures, one for each moment.
    """
    length = len(groups[0][0])
    return [
        Image.fromarray(_stack([_join([frames[t] for frames in group]) for group in groups]))
        for t in range(length)
    ]


def _join(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    gap = np.full((pictures[0].shape[0], _GAP), _GREY, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate([*parts, gap], axis=1)


def _stack(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(_join([picture.T for picture in pictures]).T)


class DrawSequences:
    """Draws the first sequences of an evaluation: what was seen, what came, what was predicted.

    The PNG has three rows for each sequence; in the GIF the three move side by side.
    """

    def __init__(self) -> None:
        self.groups: list[list[NDArray[np.uint8]]] = []

    def begin(self) -> None:
        """Forgets the evaluation before."""
        self.groups = []

    def add(self, batch: dict[str, Tensor], outputs: Tensor) -> None:
        """Keeps the first sequences.

        Args:
            batch: Has bytes ``frames`` ``(B, 2T, C, H, W)``.
            outputs: Predicted frames ``(B, T, C, H, W)``.
        """
        if self.groups:
            return
        frames = batch["frames"][:_SHOWN, :, 0].cpu().numpy()
        seen, future = np.split(frames, 2, axis=1)
        pixels = (255 * outputs[:_SHOWN, :, 0].clamp(0, 1)).round().byte().cpu().numpy()
        self.groups = [list(group) for group in zip(seen, future, pixels, strict=True)]

    def files(self) -> dict[str, bytes]:
        """The PNG and the GIF."""
        picture = strip([row for group in self.groups for row in group])
        return {PNG: _encode([picture], "png"), GIF: _encode(animation(self.groups), "gif")}


def _encode(pictures: list[Image.Image], kind: str) -> bytes:
    file = io.BytesIO()
    first, *others = pictures
    options = {"save_all": True, "append_images": others, "duration": _FRAME_MS, "loop": 0}
    first.save(file, kind, **(options if others else {}))
    return file.getvalue()

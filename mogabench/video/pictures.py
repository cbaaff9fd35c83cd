"""Pictures of predictions: strips of frames as PNG, moving ones as GIF."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import numpy as np
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from PIL import Image

from mogabench.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from mmengine.runner import Runner
    from numpy.typing import NDArray
    from torch import Tensor

PNG, GIF = "predictions.png", "predictions.gif"

_SHOWN = 4
_GAP = 2
_GREY = 96
_FRAME_MS = 200


def strip(sequences: list[NDArray[np.uint8]]) -> Image.Image:
    """Sequences as rows of frames.

    Args:
        sequences: Each ``(T, H, W)``.
    """
    return Image.fromarray(_stacked([_beside(list(frames)) for frames in sequences]))


def animation(groups: list[list[NDArray[np.uint8]]]) -> list[Image.Image]:
    """Groups of sequences, which move side by side, one group below the other.

    Args:
        groups: Each a list of ``(T, H, W)``.

    Returns:
        The pictures, one for each moment.
    """
    length = len(groups[0][0])
    return [
        Image.fromarray(_stacked([_beside([frames[t] for frames in group]) for group in groups]))
        for t in range(length)
    ]


def _beside(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    gap = np.full((pictures[0].shape[0], _GAP), _GREY, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate([*parts, gap], axis=1)


def _stacked(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(_beside([picture.T for picture in pictures]).T)


class DrawPredictions(Hook):
    """Draws the first sequences of each evaluation: what was seen, what came, what was predicted.

    The PNG has three rows for each sequence; in the GIF the three move side by side.

    Args:
        folder: Where ``predictions.png`` and ``predictions.gif`` go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Tensor], outputs: Tensor
    ) -> None:
        """Draws the first batch."""
        if batch_idx or get_dist_info()[0]:
            return
        frames = data_batch["frames"][:_SHOWN, :, 0].cpu().numpy()
        seen, future = np.split(frames, 2, axis=1)
        pixels = (255 * outputs[:_SHOWN, :, 0].clamp(0, 1)).round().byte().cpu().numpy()
        groups = [list(group) for group in zip(seen, future, pixels, strict=True)]
        self._save(PNG, [strip([row for group in groups for row in group])])
        self._save(GIF, animation(groups))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Tells where the pictures are."""
        if get_dist_info()[0] == 0:
            print(f"pictures: {self.folder / PNG} and {GIF}", file=sys.stderr, flush=True)

    def _save(self, name: str, pictures: list[Image.Image]) -> None:
        file = io.BytesIO()
        first, *others = pictures
        options = {"save_all": True, "append_images": others, "duration": _FRAME_MS, "loop": 0}
        first.save(file, name.rpartition(".")[2], **(options if others else {}))
        write_whole(self.folder / name, file.getvalue())

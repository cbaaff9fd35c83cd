"""A picture of what was predicted, for the eye."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook
from PIL import Image, ImageOps

from mogabench.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from mmengine.runner import Runner
    from numpy.typing import NDArray

PICTURE = "predictions.png"
"""The file in the work folder."""

_COLUMNS = 4

MOST = 8
"""Images in the picture."""

TILE = 320
"""Pixels of each side of an image in the picture."""


class DrawPredictions(Hook):
    """Writes the first images of each evaluation, with what was found in them, to one file.

    Args:
        folder: Where the file goes.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / PICTURE

    def drawn(self, batch: Any, outputs: Any) -> Iterable[NDArray[np.uint8]]:
        """The images ``(height, width, 3)`` of a batch, in RGB, with the predictions drawn in.

        Args:
            batch: What the evaluation's loader gave.
            outputs: What the model predicted for it.
        """
        raise NotImplementedError

    def before_val_epoch(self, runner: Runner) -> None:
        """Begins a new picture."""
        self.tiles: list[NDArray[np.uint8]] = []

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any, outputs: Any) -> None:
        """Draws the images of a batch, until there are enough."""
        if runner.rank == 0 and len(self.tiles) < MOST:
            self.tiles += self.drawn(data_batch, outputs)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Writes the picture; tells where after the last evaluation."""
        if runner.rank != 0:
            return
        write_whole(self.file, mosaic(self.tiles[:MOST]))
        if runner.epoch == 0 or runner.iter >= runner.max_iters:
            print(f"predictions drawn: {self.file}", file=sys.stderr, flush=True)


def mosaic(images: list[NDArray[np.uint8]]) -> bytes:
    """A PNG file with images ``(height, width, 3)`` side by side, each fitted to a square."""
    rows = -(-len(images) // _COLUMNS)
    whole = Image.new("RGB", (_COLUMNS * TILE, rows * TILE), "white")
    for place, image in enumerate(images):
        tile = ImageOps.pad(Image.fromarray(image), (TILE, TILE), color="white")
        whole.paste(tile, (place % _COLUMNS * TILE, place // _COLUMNS * TILE))
    file = io.BytesIO()
    whole.save(file, "png")
    return file.getvalue()

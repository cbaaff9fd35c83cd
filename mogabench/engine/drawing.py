"""Pictures of predictions."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import matplotlib
from mmengine.hooks import Hook
from PIL import Image, ImageOps

from mogabench.data.images import truncated_images_filled
from mogabench.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from mmengine.runner import Runner
    from numpy.typing import NDArray

PICTURE = "predictions.png"
"""The file in the work folder."""

_LOG = logging.getLogger(__name__)
_COLUMNS = 4

MOST = 8
"""Images in a mosaic."""

TILE = 320
"""Pixels of each side of an image in a mosaic."""


FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
"""The font of names in pictures, which comes with matplotlib."""


class Drawing(Protocol):
    """Draws the predictions of one evaluation after another."""

    def begin(self) -> None:
        """Forgets the evaluation before."""
        ...

    def add(self, batch: Any, outputs: Any) -> None:
        """Looks at the predictions for a batch.

        Args:
            batch: What the evaluation's loader gave.
            outputs: What the model predicted for it.
        """
        ...

    def files(self) -> Mapping[str, bytes]:
        """The content of each picture's file, by name; asked for at the end."""
        ...


class DrawPredictions(Hook):
    """Writes a task's drawing of each evaluation to the work folder.

    Args:
        folder: Where the files go.
        drawing: The task's.
    """

    def __init__(self, folder: Path, drawing: Drawing) -> None:
        self.folder, self.drawing = folder, drawing

    def before_val_epoch(self, runner: Runner) -> None:
        """Begins a new picture."""
        self.drawing.begin()

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any, outputs: Any) -> None:
        """Shows the drawing a batch."""
        if runner.rank == 0:
            with truncated_images_filled():
                self.drawing.add(data_batch, outputs)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Writes the files; says where they are after the last evaluation."""
        if runner.rank != 0:
            return
        with truncated_images_filled():
            files = self.drawing.files()
        for name, content in files.items():
            write_whole(self.folder / name, content)
        if runner.epoch == 0 or runner.iter >= runner.max_iters:
            _LOG.info("predictions drawn: %s", ", ".join(str(self.folder / name) for name in files))


class Mosaic:
    """The first images of an evaluation, with what was predicted, side by side in one file."""

    def __init__(self) -> None:
        self.tiles: list[NDArray[np.uint8]] = []

    def draw(self, batch: Any, outputs: Any) -> Iterable[NDArray[np.uint8]]:
        """The images ``(height, width, 3)`` of a batch, in RGB, with the predictions drawn in.

        Args:
            batch: What the evaluation's loader gave.
            outputs: What the model predicted for it.
        """
        raise NotImplementedError

    def begin(self) -> None:
        """Forgets the evaluation before."""
        self.tiles = []

    def add(self, batch: Any, outputs: Any) -> None:
        """Draws the images of a batch, until there are enough."""
        if len(self.tiles) < MOST:
            self.tiles += self.draw(batch, outputs)

    def files(self) -> dict[str, bytes]:
        """The mosaic."""
        return {PICTURE: mosaic(self.tiles[:MOST])}


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

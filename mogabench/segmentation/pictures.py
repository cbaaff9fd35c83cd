"""What was predicted, drawn over the images."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from mmengine.hooks import Hook

from mogabench.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mmengine.runner import Runner
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

_SHOWN = 8
_TILE = 256
"""Pixels of each side of an image in the picture."""

_STRENGTH = 0.6
"""How much of a class's colour covers the image."""


class DrawMasks(Hook):
    """Draws the first images after each evaluation, the truth above, the prediction below.

    Args:
        file: A PNG file, written anew each time.
        palette: The classes' colours, RGB.
    """

    def __init__(self, file: Path, palette: Sequence[Sequence[int]]) -> None:
        self.file = file
        self.palette = np.asarray(palette, np.uint8)
        self.columns: list[Picture] = []
        self.told = False

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any, outputs: Sequence[Any]
    ) -> None:
        """Draws an image, if it is one of the first."""
        for sample in outputs:
            if runner.rank == 0 and len(self.columns) < _SHOWN:
                image = np.asarray(cv2.imread(sample.img_path), np.uint8)
                masks = (sample.gt_sem_seg, sample.pred_sem_seg)
                tiles = [self._drawn(image, mask.data.squeeze(0).cpu().numpy()) for mask in masks]
                self.columns.append(np.vstack(tiles))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Writes the picture."""
        if not self.columns:
            return
        _, encoded = cv2.imencode(".png", np.hstack(self.columns))
        write_whole(self.file, encoded.tobytes())
        self.columns = []
        if not self.told:
            print(f"truth and predictions drawn: {self.file}", file=sys.stderr, flush=True)
            self.told = True

    def _drawn(self, image: Picture, mask: NDArray[np.int64]) -> Picture:
        """The image, BGR, in the colours of its mask ``(H, W)``, in a square of fixed size."""
        known = (mask < len(self.palette))[..., None]
        colours = self.palette[np.minimum(mask, len(self.palette) - 1), ::-1]
        mixed = np.where(known, _STRENGTH * colours + (1 - _STRENGTH) * image, image)
        scale = _TILE / max(mask.shape)
        small = cv2.resize(mixed.astype(np.uint8), None, fx=scale, fy=scale)[:_TILE, :_TILE]
        tile = np.zeros((_TILE, _TILE, 3), np.uint8)
        tile[: small.shape[0], : small.shape[1]] = small
        return tile

"""Drawings of true and predicted classes over the images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mogabench.data.images import read_image
from mogabench.engine.drawing import Mosaic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

_STRENGTH = 0.6
"""How much of a class's colour covers the image."""


class DrawMasks(Mosaic):
    """Each image with the true classes, where they are known, then with those predicted.

    Args:
        palette: The classes' colours, RGB.
    """

    def __init__(self, palette: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.palette = np.asarray(palette, np.uint8)

    def draw(self, batch: Any, outputs: Sequence[Any]) -> Iterator[Picture]:
        """The images of a batch, in the colours of the truth and of the prediction."""
        for sample in outputs:
            image = read_image(Path(sample.img_path), sample.ori_shape)
            for name in ("gt_sem_seg", "pred_sem_seg"):
                if hasattr(sample, name):
                    mask = getattr(sample, name).data.squeeze(0)
                    yield colour(image, mask.cpu().numpy(), self.palette)


def colour(image: Picture, mask: NDArray[np.int64], palette: Picture) -> Picture:
    """An image in the colours of its classes; what has none stays as it is.

    Args:
        image: ``(height, width, 3)``, RGB.
        mask: Classes from 0, ``(height, width)``; a number beyond the palette stands for none.
        palette: ``(classes, 3)``, RGB.
    """
    known = (mask < len(palette))[..., None]
    colours = palette[np.minimum(mask, len(palette) - 1)]
    mixed = np.where(known, _STRENGTH * colours + (1 - _STRENGTH) * image, image)
    return mixed.astype(np.uint8)

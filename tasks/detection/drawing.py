"""Detections drawn into their images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from mogabench.data.images import read_image
from mogabench.engine.drawing import FONT, Mosaic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from mmdet.structures import DetDataSample
    from numpy.typing import NDArray

SURE = 0.3
"""Detections of a lower score are not drawn."""

_SCALE = 3
"""How much larger small images are drawn, so that lines and names fit in."""

_SMALL = 200
"""Longer side in pixels below which an image is small."""

_LINES, _LETTERS = 400, 45
"""Parts of an image's longer side that lines are wide and letters are high."""

_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")


class DrawDetections(Mosaic):
    """Boxes with class and score, and masks where there are any.

    Args:
        classes: Their names.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.classes = classes

    def draw(self, batch: Any, outputs: Sequence[DetDataSample]) -> Iterator[NDArray[np.uint8]]:
        """The images of a batch with the detections that are fairly sure."""
        for sample in outputs:
            image = read_image(Path(sample.img_path), sample.ori_shape)
            yield draw_instances(image, sample.pred_instances.cpu(), self.classes)


def draw_instances(
    image: NDArray[np.uint8], found: Any, classes: tuple[str, ...]
) -> NDArray[np.uint8]:
    """An image ``(height, width, 3)`` with detections, enlarged if it is small.

    Args:
        image: In RGB.
        found: mmdet's instances, of the image's size.
        classes: Their names.
    """
    found = found[found.scores >= SURE]
    scale = _SCALE if max(image.shape) < _SMALL else 1
    canvas = torch.from_numpy(image.copy()).permute(2, 0, 1)
    canvas = _enlarge(canvas, scale)
    if not len(found):
        return _array(canvas)
    colours = [_COLOURS[label % len(_COLOURS)] for label in found.labels.tolist()]
    if "masks" in found:
        masks = _enlarge(found.masks, scale)
        canvas = draw_segmentation_masks(canvas, masks, alpha=0.4, colors=colours)
    names = [
        f"{classes[label]} {score:.2f}"
        for label, score in zip(found.labels.tolist(), found.scores.tolist(), strict=True)
    ]
    longer = max(canvas.shape)
    drawn = draw_bounding_boxes(
        canvas,
        found.bboxes * scale,
        names,
        colours,
        width=max(2, round(longer / _LINES)),
        font=str(FONT),
        font_size=max(11, round(longer / _LETTERS)),
        fill_labels=True,
    )
    return _array(drawn)


def _enlarge(maps: torch.Tensor, scale: int) -> torch.Tensor:
    return maps.repeat_interleave(scale, 1).repeat_interleave(scale, 2)


def _array(canvas: torch.Tensor) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = canvas.permute(1, 2, 0).numpy()
    return array

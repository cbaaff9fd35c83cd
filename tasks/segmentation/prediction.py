"""The classes of the pixels of images of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pycocotools.mask
from mmengine.dataset import Compose, pseudo_collate
from mmseg.datasets.transforms import PackSegInputs
from PIL import Image, ImageDraw, ImageFont

from mogabench.engine.drawing import FONT, TILE
from mogabench.engine.prediction import Prediction, Predictor, as_png
from mogabench.openmmlab.images import of_image
from mogabench.tasks.segmentation.data import ADE20K, evaluation_resizing, palette_of
from mogabench.tasks.segmentation.drawing import colour
from mogabench.tasks.segmentation.metric import as_png as mask_png

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mogabench.engine.model import Trained
    from mogabench.engine.prediction import Item
    from mogabench.tasks.segmentation.data import SegmentationJob

_TOLD = 5
"""Classes that a description names."""

_KEY, _LINE, _MARGIN = 12, 20, 4
"""Classes in a picture's key, the height of each and what surrounds it, in pixels."""


@dataclass(frozen=True)
class SegmentationPrediction(Prediction):
    """The class of each pixel of an image.

    Attributes:
        mask: ``(H, W)``, the classes' numbers from 0.
        classes: The names of all classes.
        first_id: What files of masks call the first class.
    """

    mask: NDArray[np.uint8]
    classes: tuple[str, ...]
    first_id: int

    def shares(self) -> dict[int, float]:
        """Of each class that is there its share of the pixels, the largest one first."""
        counts = np.bincount(self.mask.ravel(), minlength=len(self.classes)) / self.mask.size
        return {int(n): float(counts[n]) for n in np.argsort(-counts, kind="stable") if counts[n]}

    def to_json(self) -> list[dict[str, Any]]:
        """COCO's results as of its stuff, a class each, and beside them names and shares."""
        return [
            {
                "file_name": self.item.name,
                "category": self.classes[number],
                "share": round(share, 6),
                "image_id": self.item.number,
                "category_id": number + self.first_id,
                "segmentation": self._runs(number),
            }
            for number, share in self.shares().items()
        ]

    def _runs(self, number: int) -> dict[str, Any]:
        runs = pycocotools.mask.encode(np.asfortranarray(self.mask == number, np.uint8))
        return {**runs, "counts": runs["counts"].decode("ascii")}

    def describe(self) -> str:
        """The largest classes and their shares of the pixels."""
        found = [f"{self.classes[number]} {share:.1%}" for number, share in self.shares().items()]
        return ", ".join([*found[:_TOLD], *["…"] * (len(found) > _TOLD)])

    def draw(self) -> Image.Image:
        """The image in the colours of its classes, and below it the key of the largest ones."""
        palette = np.asarray(palette_of(self.classes), np.uint8)
        drawn = Image.fromarray(colour(self.item.pixels(), self.mask.astype(np.int64), palette))
        if max(drawn.size) < TILE:
            factor = TILE // max(drawn.size) + 1
            drawn = drawn.resize(
                (drawn.width * factor, drawn.height * factor), Image.Resampling.NEAREST
            )
        shown = list(self.shares().items())[:_KEY]
        height = drawn.height + _LINE * len(shown) + 2 * _MARGIN
        picture = Image.new("RGB", (max(drawn.width, TILE), height), "white")
        picture.paste(drawn, (0, 0))
        canvas, font = ImageDraw.Draw(picture), ImageFont.truetype(FONT, _LINE * 2 // 3)
        top = drawn.height + _MARGIN
        for number, share in shown:
            box = (_MARGIN, top + 2, _MARGIN + _LINE - 4, top + _LINE - 2)
            canvas.rectangle(box, fill=tuple(palette[number].tolist()))
            text = f"{self.classes[number]} {share:.1%}"
            canvas.text((_LINE + 2 * _MARGIN, top + 2), text, fill="black", font=font)
            top += _LINE
        return picture

    def files(self) -> Mapping[str, bytes]:
        """The picture, and the mask of class ids, as true masks are stored."""
        return {".png": as_png(self.draw()), "_mask.png": mask_png(self.mask + self.first_id)}


class SegmentationPredictor(Predictor):
    """A segmentor.

    Args:
        job: See `Predictor`.
        model: Likewise.
        classes: Their names.
        first_id: What files of masks call the first class.
        notes: See `Predictor`.
    """

    def __init__(
        self,
        job: SegmentationJob,
        model: Trained,
        classes: tuple[str, ...],
        first_id: int,
        notes: Sequence[str],
    ) -> None:
        super().__init__(job, model, notes)
        self.classes, self.first_id = classes, first_id
        self.transform = Compose([*evaluation_resizing(job), PackSegInputs()])

    def predict_item(self, item: Item) -> SegmentationPrediction:
        """See `Predictor`."""
        sample = self.transform({"img_path": item.name, **of_image(item.pixels())})
        (output,) = self.run(pseudo_collate([sample]))
        mask = output.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
        return SegmentationPrediction(item, mask, self.classes, self.first_id)


def class_names(stated: tuple[str, ...], count: int) -> tuple[str, ...]:
    """The classes: as the weights state, as ADE20K has them, or numbered.

    Args:
        stated: By the weights or the user; empty where these say none.
        count: How many there are.
    """
    if stated:
        return stated
    numbered = tuple(f"class {number}" for number in range(count))
    return ADE20K if count == len(ADE20K) else numbered

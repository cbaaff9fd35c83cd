"""mIoU, mAcc and aAcc, by mmseg's metric."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from mmseg.evaluation import IoUMetric
from PIL import Image

from mogabench.engine.metric import GatheredMetric
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_NAMES = {"mIoU": "miou", "mAcc": "macc", "aAcc": "aacc"}


class Scene(NamedTuple):
    """What is noted of an image.

    Attributes:
        areas: Pixels by class: intersection, union, predicted, true; none without a true mask.
        image: Its file; only where predictions are to be written, as the mask.
        mask: The predicted one as a PNG file.
        pairs: Numbers of a true and a predicted class, as one number, and their pixels; only where
            they are to be written.
    """

    areas: tuple[Any, ...] = ()
    image: Path = Path()
    mask: bytes = b""
    pairs: tuple[Any, Any] = ((), ())


class Overlap(GatheredMetric, IoUMetric):
    """Mean intersection over union, mean and overall accuracy of the pixels, in percent.

    The mean of the IoU is over the classes that are true or predicted somewhere, that of the
    accuracy over those that are true somewhere. Ignored pixels count nowhere.

    Args:
        classes: Their names.
        first_id: What the masks' files call the first class.
    """

    def __init__(self, classes: Sequence[str], first_id: int = 1) -> None:
        super().__init__()
        self.dataset_meta = {"classes": classes}
        self.first_id = first_id

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Notes the areas in each image of a batch, and the mask where it is to be written."""
        for sample in data_samples:
            scene = Scene()
            if self.annotated:
                super().process(data_batch, [sample])
                scene = Scene(self.results.pop())
            if self.predictions is not None:
                found = sample["pred_sem_seg"]["data"][0].cpu().numpy()
                scene = scene._replace(
                    image=Path(sample["img_path"]), mask=as_png(found + self.first_id)
                )
            if self.confusion is not None:
                scene = scene._replace(pairs=self._pairs(sample))
            self.results.append(scene)

    def _pairs(self, sample: dict[str, Any]) -> tuple[Any, Any]:
        true, found = (
            sample[name]["data"][0].cpu().numpy().astype(np.int64)
            for name in ("gt_sem_seg", "pred_sem_seg")
        )
        is_class = true != self.ignore_index
        count = len(self.dataset_meta["classes"])
        return np.unique(count * true[is_class] + found[is_class], return_counts=True)

    def count_confusions(self, results: list[Scene]) -> tuple[Sequence[str], NDArray[np.int64]]:
        """Pixels by true and predicted class, without those that are ignored."""
        classes = self.dataset_meta["classes"]
        matrix = np.zeros(len(classes) ** 2, np.int64)
        for pairs, pixels in (scene.pairs for scene in results):
            matrix[pairs] += pixels
        return classes, matrix.reshape(len(classes), -1)

    def encode(self, results: list[Scene]) -> bytes:
        """A ZIP archive of masks ``<image>.png``, whose ids are those of the true masks."""
        content = io.BytesIO()
        folder = os.path.commonpath([scene.image.parent for scene in results])
        with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
            for scene in sorted(results, key=lambda scene: scene.image):
                name = scene.image.relative_to(folder).with_suffix(".png")
                archive.writestr(name.as_posix(), scene.mask)
        return content.getvalue()

    def compute_metrics(self, results: list[Scene]) -> dict[str, float]:
        """The figures, from the images' areas by class.

        Raises:
            UserError: The true masks are empty, so that there are no figures.
        """
        areas = [scene.areas for scene in results]
        if not sum(truth.sum() for _, _, _, truth in areas):
            raise UserError(
                "no pixel of the validation masks has a class: all are 0 or 255, which are ignored"
            )
        figures = super().compute_metrics(areas)
        self.by_class = self._class_figures(areas)
        return {name: float(figures[key]) for key, name in _NAMES.items()}

    def _class_figures(self, areas: list[tuple[Any, ...]]) -> dict[str, dict[str, float]]:
        """IoU and accuracy in percent, of the classes that are true or predicted somewhere."""
        both, either, _, true = (
            np.sum([np.asarray(row) for row in rows], 0) for rows in zip(*areas, strict=True)
        )
        names = self.dataset_meta["classes"]
        return {
            label: {
                name: 100 * float(one / whole)
                for name, one, whole in zip(names, both, of, strict=True)
                if whole
            }
            for label, of in (("IoU (%)", either), ("Acc (%)", true))
        }


def as_png(ids: Any) -> bytes:
    """The file of a mask of ids ``(height, width)``, as those of true masks are."""
    content = io.BytesIO()
    Image.fromarray(ids.astype(np.uint8)).save(content, "PNG")
    return content.getvalue()

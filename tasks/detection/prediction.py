"""The objects in images of the user's own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from mmdet.datasets import CocoDataset
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from PIL import Image

from mogabench.engine.prediction import Prediction, Predictor
from mogabench.openmmlab.images import of_image
from mogabench.tasks.detection.data import evaluation_transforms
from mogabench.tasks.detection.drawing import SURE, draw_instances
from mogabench.tasks.detection.metric import as_json, as_results

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mogabench.engine.job import Job
    from mogabench.engine.model import Trained
    from mogabench.engine.prediction import Item
    from mogabench.tasks.detection.recipe import Scale

_UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Of COCO's category ids, 1 to 90, those that no class of its 80 has."""

Categories = dict[int, str]
"""The classes' names by COCO's category ids, in the order of the network's outputs."""


@dataclass(frozen=True)
class DetectionPrediction(Prediction):
    """The objects in an image, also those that the network is not sure of.

    Attributes:
        boxes: ``(N, 4)``: left, top, right and bottom in pixels, which is not what a pose network
            takes.
        scores: ``(N,)``, from 0 to 1.
        labels: ``(N,)``, the classes' numbers from 0.
        masks: ``(N, H, W)`` of the image's size; None where the network finds boxes only.
        categories: The classes.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.bool_] | None
    categories: Categories

    @property
    def classes(self) -> list[str]:
        """The name of each object's class."""
        names = list(self.categories.values())
        return [names[label] for label in self.labels]

    def to_json(self) -> list[dict[str, Any]]:
        """COCO's results, and beside them the names of file and category."""
        ids, masks = list(self.categories), self.masks is not None
        results = as_results(self._instances(), self.item.number, ids, masks=masks)
        return [
            {"file_name": self.item.name, "category": name, **as_json(result)}
            for name, result in zip(self.classes, results, strict=True)
        ]

    def describe(self) -> str:
        """How many objects of each class are fairly sure."""
        found = zip(self.classes, self.scores, strict=True)
        sure = Counter(name for name, score in found if score >= SURE)
        listed = ", ".join(f"{count} {name}" for name, count in sure.most_common())
        return f"{listed or 'nothing'} (scores from {SURE} on)"

    def draw(self) -> Image.Image:
        """The image with the objects that are fairly sure."""
        names = tuple(self.categories.values())
        return Image.fromarray(draw_instances(self.item.pixels(), self._instances(), names))

    def _instances(self) -> Any:
        parts = {"bboxes": self.boxes, "scores": self.scores, "labels": self.labels}
        if self.masks is not None:
            parts["masks"] = self.masks
        return InstanceData(**{name: torch.from_numpy(part) for name, part in parts.items()})


class DetectionPredictor(Predictor):
    """A detector.

    Args:
        job: See `Predictor`.
        model: Likewise.
        scale: What images are resized to fit.
        categories: The classes.
        notes: See `Predictor`.
    """

    def __init__(
        self,
        job: Job[Any, Any],
        model: Trained,
        scale: Scale,
        categories: Categories,
        notes: Sequence[str],
    ) -> None:
        super().__init__(job, model, notes)
        self.categories = categories
        _, *transforms = evaluation_transforms(scale)  # the first one reads the image
        with DefaultScope.overwrite_default_scope("mmdet"):
            self.transform = Compose(transforms)

    def predict_item(self, item: Item) -> DetectionPrediction:
        """See `Predictor`."""
        known = {"img_id": item.number, "img_path": item.name}
        sample = self.transform(known | of_image(item.pixels()))
        (output,) = self.run(pseudo_collate([sample]))
        found = output.pred_instances.cpu().numpy()
        return DetectionPrediction(
            item, found.bboxes, found.scores, found.labels, found.get("masks"), self.categories
        )


def class_names(stated: Sequence[str], ids: Sequence[int], count: int) -> Categories:
    """The classes: as the weights state, as COCO has them, or numbered.

    Args:
        stated: Their names by the weights; empty where these say none.
        ids: Their ids, likewise; without, those of COCO's classes are COCO's, others count from 1.
        count: How many there are.
    """
    of_coco = CocoDataset.METAINFO["classes"]
    if not stated:
        is_coco = count == len(of_coco)
        stated = of_coco if is_coco else [f"class {number}" for number in range(count)]
    if not ids and tuple(stated) == of_coco:
        ids = [number for number in range(1, 91) if number not in _UNUSED]
    return dict(zip(ids or range(1, count + 1), stated, strict=True))

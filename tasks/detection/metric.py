"""COCO's average precision of boxes and masks, by pycocotools."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np
import pycocotools.mask
from pycocotools.cocoeval import COCOeval

from mogabench.engine.metric import GatheredMetric
from mogabench.tasks.detection.data import index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.tasks.detection.annotations import Annotations

_STATISTICS = ("ap", "ap50", "ap75", "ap_s", "ap_m", "ap_l")
"""The first six that `COCOeval` gives, in its order."""

_KINDS = {"box": "bbox", "mask": "segm"}
"""What metrics' names begin with, and what pycocotools calls it."""


class CocoPrecision(GatheredMetric):
    """AP, AP50, AP75 and by size, in percent, of at most 100 detections an image.

    Args:
        annotations: The ground truth.
        masks: Whether to evaluate masks, too.
    """

    def __init__(self, annotations: Annotations, *, masks: bool) -> None:
        super().__init__()
        self.content = annotations.content
        self.truth = index(self.content)
        self.categories = self.truth.get_cat_ids(cat_names=annotations.classes)
        self.kinds = [kind for kind in _KINDS if kind == "box" or masks]

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Notes the detections of a batch in COCO's result format."""
        for sample in data_samples:
            self.results += as_results(
                sample["pred_instances"],
                sample["img_id"],
                self.categories,
                masks="mask" in self.kinds,
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """The metrics of detections in COCO's result format; all 0 where nothing was detected."""
        metrics: dict[str, float] = {}
        self.by_class = {}
        for kind in self.kinds:
            named = zip(_STATISTICS, self._precision(results, _KINDS[kind]), strict=True)
            metrics |= {f"{kind}_{name}": 100 * value for name, value in named}
        # pycocotools gives -1 for sizes of which the data has none: there is no such figure.
        return {name: value for name, value in metrics.items() if value >= 0}

    def encode(self, results: list[dict[str, Any]]) -> str:
        """The detections in COCO's results format, JSON, as its evaluation server takes them.

        Those with masks keep their boxes. pycocotools then takes an object's area from the box, so
        that its mask AP by size differs from the one here and in mmdet, which go by the mask.

        Images that could not be read have none, and are to be left out of an evaluation elsewhere,
        as they are here: the objects in them would count as missed.
        """
        return json.dumps([as_json(item) for item in results])

    def _precision(self, results: list[dict[str, Any]], kind: str) -> list[float]:
        # Without its box, a result's size is that of its mask.
        dropped = "bbox" if kind == "segm" else "segmentation"
        kept = [{key: v for key, v in item.items() if key != dropped} for item in results]
        with redirect_stdout(None):
            # pycocotools cannot load an empty list.
            found = self.truth.loadRes(kept) if kept else index({**self.content, "annotations": []})
            evaluation = COCOeval(self.truth, found, kind)
            images = self.truth.get_img_ids()  # in the order of the data set
            unread = {images[place] for place in self.left_out}
            evaluation.params.imgIds = [n for n in evaluation.params.imgIds if n not in unread]
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        heading = "Mask AP (%)" if kind == "segm" else "Box AP (%)"
        self.by_class = {**self.by_class, heading: self._class_precision(evaluation)}
        return [float(value) for value in evaluation.stats[: len(_STATISTICS)]]

    def _class_precision(self, evaluation: COCOeval) -> dict[str, float]:
        """AP by class name in percent, of all sizes; without the classes that do not occur."""
        # thresholds x recalls x classes x sizes x numbers of detections
        precision = evaluation.eval["precision"][:, :, :, 0, -1]
        by_id = dict(zip(evaluation.params.catIds, precision.transpose(2, 0, 1), strict=True))
        return {
            self.truth.cats[number]["name"]: 100 * float(found.mean())
            for number, found in ((number, by_id[number]) for number in self.categories)
            if (found >= 0).all()
        }


def as_results(
    found: Any, image: int, categories: Sequence[int], *, masks: bool
) -> list[dict[str, Any]]:
    """Detections in COCO's results format, their masks in pycocotools' run lengths.

    Args:
        found: mmdet's instances in an image.
        image: The image's id.
        categories: The classes' ids.
        masks: Whether they have masks.
    """
    corners, scores = found["bboxes"].cpu().numpy(), found["scores"].cpu().numpy()
    boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    labels = found["labels"].cpu().numpy()
    results = [
        {
            "image_id": image,
            "category_id": categories[label],
            "bbox": box.tolist(),
            "score": float(score),
        }
        for box, score, label in zip(boxes, scores, labels, strict=True)
    ]
    if masks:
        # One by one: a hundred masks of a large photograph take gigabytes.
        for result, mask in zip(results, found["masks"], strict=True):
            pixels = np.asfortranarray(mask.cpu().numpy().astype(np.uint8))
            result["segmentation"] = pycocotools.mask.encode(pixels)
    return results


def as_json(result: dict[str, Any]) -> dict[str, Any]:
    """A result with its mask's code as text."""
    if "segmentation" not in result:
        return result
    mask = result["segmentation"]
    return {**result, "segmentation": {**mask, "counts": mask["counts"].decode("ascii")}}

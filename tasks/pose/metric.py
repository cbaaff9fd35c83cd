"""Object keypoint similarity, and COCO's average precision of poses."""

from __future__ import annotations

import contextlib
import io
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from mogabench.data.views import transform
from mogabench.engine.metric import GatheredMetric
from mogabench.tasks.pose.skeleton import SIGMAS

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from torch import Tensor

    from mogabench.data.views import Array, View
    from mogabench.tasks.pose.data import People
    from mogabench.tasks.pose.pictures import PersonPictures

_SAME_POSE = 0.9
"""Of two poses so similar, only the better one is kept."""

SURE = 0.2
"""Key points at least so sure make up a pose's score."""

_STATS = {"pose_ap": 0, "pose_ap50": 1, "pose_ap75": 2, "pose_ar": 5}
"""Where COCO's summary has the task's metrics."""

Pose = dict[str, Any]
"""``image``, ``score``, ``keypoints`` ``(17, 3)`` in pixels of the image, ``area`` of the view."""


class KeypointAP(GatheredMetric):
    """COCO's AP, AP50, AP75 and AR of the poses, in percent.

    Attributes:
        poses: Those of the last evaluation that were kept.

    Args:
        people: The truth.
        pictures: What the network looked at.
    """

    def __init__(self, people: People, pictures: PersonPictures) -> None:
        super().__init__()
        self.people, self.pictures = people, pictures
        self.poses: list[Pose] = []

    def process(self, data_batch: dict[str, Any], data_samples: Sequence[Tensor]) -> None:
        """Notes each person's key points, ``(17, 3)`` in pixels of the picture."""
        for index, found in zip(data_batch["index"].tolist(), data_samples, strict=True):
            self.results.append((index, found.cpu().double().numpy()))

    def combine(self, results: list[tuple[int, Array]]) -> list[Pose]:
        """The poses that are kept of each image, from persons' numbers and key points."""
        by_image: dict[int, list[Pose]] = defaultdict(list)
        for index, found in sorted(results, key=lambda result: result[0]):
            pose = self._pose(index, found)
            by_image[pose["image"]].append(pose)
        self.poses = [pose for poses in by_image.values() for pose in suppress(poses)]
        return self.poses

    def compute_metrics(self, results: list[Pose]) -> dict[str, float]:
        """The metrics of poses in percent."""
        unread = {self.people.persons[place].image for place in self.left_out}
        return average_precision(self.people, results, unread)

    def encode(self, results: list[Pose]) -> str:
        """The poses in COCO's results format, JSON.

        Images that could not be read have none, and are to be left out of an evaluation elsewhere,
        as they are here: the persons in them would count as missed.
        """
        return json.dumps(as_results(results, self.people.category))

    def _pose(self, index: int, found: Array) -> Pose:
        person, view = self.people.persons[index], self.pictures.view(index)
        size = self.pictures.size
        return pose_in_image(found, view, size, image=person.image, score=person.score)


def pose_in_image(
    found: Array, view: View, size: tuple[int, int], *, image: int, score: float
) -> Pose:
    """A pose as it lies in the image.

    Args:
        found: ``(17, 3)``: x and y in pixels of the picture, and how sure.
        view: What the picture shows of the image.
        size: ``(height, width)`` of the picture.
        image: The image's number.
        score: How sure it is that somebody is there.
    """
    points = transform(found[:, :2], view.to_image(size))
    sure = found[found[:, 2] > SURE, 2]
    return {
        "image": image,
        "score": score * float(sure.mean() if len(sure) else 0),
        "keypoints": np.column_stack([points, found[:, 2]]),
        "area": view.width * view.height(size),
    }


def similarity(keypoints: Array, others: Array, areas: Array) -> Array:
    """COCO's object key point similarity, with every key point labelled.

    Args:
        keypoints: ``(17, 2)`` or more columns: x, y.
        others: ``(N, 17, 2)`` or more columns.
        areas: ``(N,)``, the persons' size in square pixels.

    Returns:
        ``(N,)``, 1 for the same pose, towards 0 for another.
    """
    distances = ((others[..., :2] - keypoints[:, :2]) ** 2).sum(-1)
    variances = (2 * np.array(SIGMAS)) ** 2
    spread = 2 * variances * (areas[:, None] + np.spacing(1))
    alike: Array = np.exp(-distances / spread).mean(-1)
    return alike


def suppress(poses: list[Pose]) -> list[Pose]:
    """The poses of one image without those that a better one resembles, best first."""
    left = sorted(poses, key=lambda pose: -pose["score"])
    kept = []
    while left:
        best, *left = left
        kept.append(best)
        if left:
            areas = np.array([(best["area"] + pose["area"]) / 2 for pose in left])
            others = np.stack([pose["keypoints"] for pose in left])
            alike = similarity(best["keypoints"], others, areas)
            left = [pose for pose, same in zip(left, alike, strict=True) if same <= _SAME_POSE]
    return kept


def average_precision(
    people: People, poses: list[Pose], unread: Set[int] = frozenset()
) -> dict[str, float]:
    """What pycocotools makes of the poses, in percent, without the images of some numbers."""
    truth, results = people.truth, as_results(poses, people.category)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(results), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(SIGMAS)
        evaluation.params.imgIds = [n for n in evaluation.params.imgIds if n not in unread]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    values = {name: 100 * float(evaluation.stats[place]) for name, place in _STATS.items()}
    # pycocotools gives -1 where nobody was to be found: there is no such figure.
    return {name: value for name, value in values.items() if value >= 0}


def as_results(poses: list[Pose], category: int) -> list[dict[str, Any]]:
    """Poses in COCO's results format, persons being the category of that id."""
    return [
        {
            "image_id": pose["image"],
            "category_id": category,
            "keypoints": pose["keypoints"].ravel().tolist(),
            "score": pose["score"],
        }
        for pose in poses
    ]

"""Drawings of predicted poses in the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mogabench.data.images import read_image
from mogabench.engine.drawing import MOST, TILE, Mosaic
from mogabench.tasks.pose.metric import SURE
from mogabench.tasks.pose.skeleton import KEYPOINTS, LIMBS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from mogabench.data.views import Array
    from mogabench.tasks.pose.metric import KeypointAP

_LEFT, _RIGHT, _MIDDLE = (255, 128, 0), (0, 200, 80), (51, 153, 255)
_POINT = (255, 255, 255)


class DrawPoses(Mosaic):
    """The poses in the first images of each evaluation.

    Args:
        metric: Has the poses.
    """

    def __init__(self, metric: KeypointAP) -> None:
        super().__init__()
        self.metric = metric

    def draw(self, batch: Any, outputs: Any) -> list[NDArray[np.uint8]]:
        """Nothing yet: which poses of an image are kept is only known of all of them."""
        return []

    def files(self) -> dict[str, bytes]:
        """The poses that were kept."""
        left_out = self.metric.left_out
        persons = {
            person.image: person
            for place, person in enumerate(self.metric.people.persons)
            if place not in left_out
        }
        self.tiles = [
            draw_poses(
                read_image(person.file, person.image_size),
                (pose["keypoints"] for pose in self.metric.poses if pose["image"] == image),
            )
            for image, person in list(persons.items())[:MOST]
        ]
        return super().files()


def draw_poses(
    image: NDArray[np.uint8], poses: Iterable[Array], side: int = TILE
) -> NDArray[np.uint8]:
    """The image with skeletons.

    Args:
        image: ``(height, width, 3)``, RGB.
        poses: Each ``(17, 3)``: x and y in pixels of the image, and how sure.
        side: What the longer side becomes, in pixels.
    """
    scale, width = side / max(image.shape[:2]), max(1, side // (TILE // 2))
    canvas = np.asarray(cv2.resize(image, None, fx=scale, fy=scale), np.uint8)
    for pose in poses:
        points = np.rint(pose[:, :2] * scale).astype(int).clip(-side, 2 * side)
        sure = pose[:, 2] > SURE
        for start, end in LIMBS:
            if sure[start] and sure[end]:
                line = points[start].tolist(), points[end].tolist()
                cv2.line(canvas, *line, _color(start, end), width, cv2.LINE_AA)
        for point in points[sure].tolist():
            cv2.circle(canvas, point, width * 3 // 2, _POINT, -1, cv2.LINE_AA)
    return canvas


def _color(start: int, end: int) -> tuple[int, int, int]:
    sides = {KEYPOINTS[number].partition("_")[0] for number in (start, end)}
    return {"left": _LEFT, "right": _RIGHT}.get(sides.pop() if len(sides) == 1 else "", _MIDDLE)

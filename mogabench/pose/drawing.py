"""The poses that were found, drawn into the images."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import cv2
import numpy as np
from mmengine.hooks import Hook

from mogabench.errors import UserError
from mogabench.files import write_whole
from mogabench.pose.metric import SURE
from mogabench.pose.pictures import read_image
from mogabench.pose.skeleton import KEYPOINTS, LIMBS

if TYPE_CHECKING:
    from pathlib import Path

    from mmengine.runner import Runner
    from numpy.typing import NDArray

    from mogabench.pose.metric import KeypointAP, Pose

_COLUMNS, _ROWS = 4, 2
_TILE = 320
"""Pixels of each side of an image in the picture."""

_LEFT, _RIGHT, _MIDDLE = (255, 128, 0), (0, 200, 80), (51, 153, 255)
_POINT = (255, 255, 255)


class DrawPoses(Hook):
    """Draws the poses in the first images after each evaluation, always into the same file.

    Args:
        metric: Has the poses.
        file: A PNG file.
    """

    def __init__(self, metric: KeypointAP, file: Path) -> None:
        self.metric, self.file = metric, file
        self.told = False

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Draws."""
        if runner.rank != 0:
            return
        files = {person.image: person.file for person in self.metric.people.persons}
        tiles = []
        for number in list(files)[: _COLUMNS * _ROWS]:
            image = read_image(files[number])
            if image is None:
                raise UserError(f"cannot read the image {files[number]}")
            poses = [pose for pose in self.metric.poses if pose["image"] == number]
            tiles.append(drawn(image, poses))
        _, encoded = cv2.imencode(".png", _side_by_side(tiles)[..., ::-1])
        write_whole(self.file, encoded.tobytes())
        if not self.told:
            print(f"poses drawn: {self.file}", file=sys.stderr, flush=True)
            self.told = True


def drawn(image: NDArray[np.uint8], poses: list[Pose]) -> NDArray[np.uint8]:
    """The image with skeletons, its longer side of fixed length."""
    scale = _TILE / max(image.shape[:2])
    canvas = np.asarray(cv2.resize(image, None, fx=scale, fy=scale), np.uint8)
    for pose in poses:
        points = np.rint(pose["keypoints"][:, :2] * scale).astype(int).clip(-_TILE, 2 * _TILE)
        sure = pose["keypoints"][:, 2] > SURE
        for start, end in LIMBS:
            if sure[start] and sure[end]:
                line = points[start].tolist(), points[end].tolist()
                cv2.line(canvas, *line, _color(start, end), 2, cv2.LINE_AA)
        for point in points[sure].tolist():
            cv2.circle(canvas, point, 3, _POINT, -1, cv2.LINE_AA)
    return canvas


def _side_by_side(tiles: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Rows of images, each in the upper left of a black place as large as the largest."""
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    picture = np.zeros((rows * height, columns * width, 3), np.uint8)
    for place, tile in enumerate(tiles):
        y, x = place // columns * height, place % columns * width
        picture[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return picture


def _color(start: int, end: int) -> tuple[int, int, int]:
    sides = {KEYPOINTS[number].partition("_")[0] for number in (start, end)}
    return {"left": _LEFT, "right": _RIGHT}.get(sides.pop() if len(sides) == 1 else "", _MIDDLE)

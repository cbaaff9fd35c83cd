"""The key points of persons in images of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from mogabench.data.views import normalize
from mogabench.engine.drawing import TILE
from mogabench.engine.prediction import Prediction, Predictor, check_names
from mogabench.errors import UserError
from mogabench.tasks.pose.boxes import read_boxes
from mogabench.tasks.pose.drawing import draw_poses
from mogabench.tasks.pose.metric import as_results, pose_in_image, suppress
from mogabench.tasks.pose.pictures import person_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.data.views import Array
    from mogabench.engine.job import Job
    from mogabench.engine.model import Trained
    from mogabench.engine.prediction import Item
    from mogabench.tasks.pose.metric import Pose

_PERSON = 1
"""COCO's category."""

_AT_ONCE = 32
"""Persons in a forward pass."""


@dataclass(frozen=True)
class PosePrediction(Prediction):
    """The poses in an image, the surest one first; of two that resemble each other the surer one.

    Attributes:
        poses: For each person ``score``, and ``keypoints`` ``(17, 3)``: x and y in pixels of the
            image and how sure, in COCO's order.
    """

    poses: list[Pose]

    def to_json(self) -> list[dict[str, Any]]:
        """COCO's results, and beside them the file's name."""
        results = as_results(self.poses, _PERSON)
        return [{"file_name": self.item.name, **result} for result in results]

    def describe(self) -> str:
        """How many persons there are, and how sure their poses."""
        scores = ", ".join(f"{pose['score']:.2f}" for pose in self.poses[:5])
        more = ", …" * (len(self.poses) > 5)
        return f"poses of {len(self.poses)} person(s)" + f", scores {scores}{more}" * bool(scores)

    def draw(self) -> Image.Image:
        """The image with the skeletons."""
        pixels = self.item.pixels()
        keypoints = [pose["keypoints"] for pose in self.poses]
        return Image.fromarray(draw_poses(pixels, keypoints, max(TILE, *pixels.shape[:2])))


class PosePredictor(Predictor):
    """A pose network, which looks at one person at a time.

    Args:
        job: See `Predictor`; its options may name a file of boxes.
        model: Likewise.
        notes: Likewise.
    """

    def __init__(self, job: Job[Any, Any], model: Trained, notes: Sequence[str]) -> None:
        super().__init__(job, model, notes)
        file, left_out = job.options.boxes, list[str]()
        self.detected = None if file is None else read_boxes(file, _PERSON, left_out)
        self.notes = (*self.notes, *left_out)
        if self.detected is not None and not any(self.detected.values()):
            raise UserError(f"{file} has no person (COCO's category {_PERSON})")
        self.has_ids = any(isinstance(key, int) for key in self.detected or ())

    def check(self, items: Sequence[Item]) -> None:
        """See `Predictor`: a file of boxes must know some of the images, each by its own name."""
        if self.detected is None:
            return
        check_names(items)
        boxes = [self._boxes_of(item) for item in items]  # of all: one may be refused
        if not any(boxes):
            raise UserError(
                f"{self.job.options.boxes} has no person in any of these {len(items)} images: its "
                f"first box is of {next(iter(self.detected))}, and the first image is "
                f"{items[0].name}"
            )

    def _boxes_of(self, item: Item) -> Sequence[Sequence[float]] | None:
        """The file's boxes of an image's persons; None without a file.

        Raises:
            UserError: The file goes by ids, and the image states none, or it may know the image by
                another name.
        """
        if self.detected is None:
            return None
        if item.name in self.detected:
            return self.detected[item.name]
        if self.has_ids and not item.states_number:
            raise UserError(
                f"{self.job.options.boxes} identifies images by id, but the name {item.name} gives "
                "no unique id: name the files by ids, such as 000000000139.jpg, or give each box a "
                "file_name"
            )
        if item.number in self.detected:
            return self.detected[item.number]
        self._check_name(item)
        return []  # the boxes of a detector, which found nothing

    def _check_name(self, item: Item) -> None:
        """Refuses an image without boxes where its name need not be the one that the file has."""
        names = [key for key in self.detected or () if isinstance(key, str)]
        if isinstance(item.content, Path):
            folder = item.content.parent
            alike = [name for name in names if PurePath(name).name == item.name]
            names = [name for name in alike if not (folder / name).exists()]  # of another image
            if not names:
                return
        raise UserError(
            f"{self.job.options.boxes} has boxes for {names[0]} but not for {item.name}: give the "
            "folder that its file names are relative to or, in Python, boxes=[…]"
        )

    def predict_item(
        self, item: Item, boxes: Sequence[Sequence[float]] | None = None
    ) -> PosePrediction:
        """See `Predictor`.

        Args:
            item: The image.
            boxes: Of persons, ``(x, y, width, height)`` in pixels, or a score behind them; by
                default those of the file for this image, or else the image's own edges.
        """
        pixels = item.pixels()
        height, width = pixels.shape[:2]
        if boxes is None:
            boxes = self._boxes_of(item)
        persons = [_checked(box) for box in ([(0, 0, width, height)] if boxes is None else boxes)]
        rows, columns = self.job.subject.input_size
        size = (rows, columns)
        views = [person_view(box, size) for box, _ in persons]
        found: list[Array] = []
        for start in range(0, len(views), _AT_ONCE):
            pictures = [normalize(view.show(pixels, size)) for view in views[start:][:_AT_ONCE]]
            outputs = self.run({"inputs": torch.stack(pictures)})
            found += [output.cpu().double().numpy() for output in outputs]
        poses = [
            pose_in_image(points, view, size, image=item.number, score=score)
            for points, view, (_, score) in zip(found, views, persons, strict=True)
        ]
        return PosePrediction(item, suppress(poses))


def _checked(box: Sequence[float]) -> tuple[Array, float]:
    """A person's box and score.

    Raises:
        UserError: It is no box, or has no area.
    """
    numbers = np.asarray(box, dtype=float)
    is_box = numbers.shape in ((4,), (5,)) and np.isfinite(numbers).all()
    if not is_box or min(numbers[2:4]) <= 0:
        raise UserError(
            f"{box} is not the box of a person: give for each one x, y, width and height in "
            "pixels, with width and height above 0"
        )
    return numbers[:4], float(numbers[4]) if len(numbers) == 5 else 1.0

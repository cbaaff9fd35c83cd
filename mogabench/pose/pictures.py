"""Persons as the network sees them: pictures, and in training the heat maps to learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from mogabench.errors import UserError
from mogabench.pose.augment import random_view
from mogabench.pose.geometry import View, transform
from mogabench.pose.heatmaps import encode
from mogabench.pose.skeleton import MIRRORED, STRIDE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from mogabench.pose.coco import Person
    from mogabench.recipes.pose_schema import PoseRecipe

# OpenCV's own threads do not survive the fork of a loader's workers.
cv2.setNumThreads(0)

_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)

Item = dict[str, Any]


class PersonPictures(Dataset[Item]):
    """Each person upright in the middle of a picture.

    An item has ``inputs`` ``(3, H, W)`` and the person's ``index``.

    Args:
        persons: Whom to show.
        size: ``(height, width)`` of the pictures, in pixels.
    """

    def __init__(self, persons: tuple[Person, ...], size: tuple[int, int]) -> None:
        self.persons, self.size = persons, size

    def __len__(self) -> int:
        return len(self.persons)

    def __getitem__(self, index: int) -> Item:
        return self._shown(index, self.view(index))

    def view(self, index: int) -> View:
        """The view of a person that is evaluated."""
        return View.around(self.persons[index].box, self.size)

    def _shown(self, index: int, view: View) -> Item:
        picture = view.show(read_image(self.persons[index].file), self.size)
        return {"inputs": normalized(picture), "index": index}


class TrainingPictures(PersonPictures):
    """The same, augmented, with ``targets`` ``(17, H/4, W/4)`` and their ``weights`` ``(17,)``.

    Args:
        persons: Whom to show; all of them with key points.
        recipe: Its size, augmentation and targets.
    """

    def __init__(self, persons: tuple[Person, ...], recipe: PoseRecipe) -> None:
        super().__init__(persons, recipe.input.size)
        self.recipe = recipe

    def __getitem__(self, index: int) -> Item:
        keypoints = self.persons[index].keypoints
        assert keypoints is not None
        view = random_view(self.view(index), keypoints, self.size, self.recipe.augment)
        if view.mirrored:
            keypoints = keypoints[list(MIRRORED)]
        targets, weights = encode(
            transform(keypoints[:, :2], view.to_output(self.size)) / STRIDE,
            keypoints[:, 2] > 0,
            (self.size[0] // STRIDE, self.size[1] // STRIDE),
            sigma=self.recipe.targets.sigma,
            encoding=self.recipe.targets.encoding,
        )
        return self._shown(index, view) | {
            "targets": torch.from_numpy(targets).float(),
            "weights": torch.from_numpy(weights).float(),
        }


def read_image(file: Path) -> NDArray[np.uint8]:
    """The image ``(height, width, 3)`` in RGB.

    Raises:
        UserError: It cannot be read.
    """
    try:
        image = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    except (OSError, cv2.error):
        image = None
    if image is None:
        raise UserError(f"cannot read the image {file}")
    return np.asarray(image, np.uint8)


def normalized(picture: NDArray[np.uint8]) -> Tensor:
    """A picture ``(H, W, 3)`` with ImageNet's mean and deviation taken out, ``(3, H, W)``."""
    scaled = (picture.astype(np.float32) / 255 - _MEAN) / _STD
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))

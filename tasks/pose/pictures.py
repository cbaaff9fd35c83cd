"""The network's inputs, one person in each picture, and in training its target heat maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Dataset

from mogabench.data.images import read_annotated_image
from mogabench.data.views import View, normalize, transform
from mogabench.tasks.pose.augment import random_view
from mogabench.tasks.pose.heatmaps import encode
from mogabench.tasks.pose.skeleton import MIRRORED, STRIDE

if TYPE_CHECKING:
    from mogabench.data.views import Array
    from mogabench.tasks.pose.data import Person
    from mogabench.tasks.pose.recipe import PoseRecipe

Item = dict[str, Any]

_PADDING = 1.25
"""A person's view is this much larger than the box."""


def person_view(box: Array, size: tuple[int, int]) -> View:
    """The view of a person in a box ``(x, y, width, height)``, shown in ``(height, width)``."""
    return View.around(box, size, _PADDING)


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
        return self._show(index, self.view(index))

    def view(self, index: int) -> View:
        """The view of a person that is evaluated."""
        return person_view(self.persons[index].box, self.size)

    def _show(self, index: int, view: View) -> Item:
        person = self.persons[index]
        image = read_annotated_image(person.file, person.image_size)
        picture = view.show(image, self.size)
        return {"inputs": normalize(picture), "index": index}


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
        return self._show(index, view) | {
            "targets": torch.from_numpy(targets).float(),
            "weights": torch.from_numpy(weights).float(),
        }

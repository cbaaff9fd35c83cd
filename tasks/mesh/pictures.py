"""The network's inputs, hands or faces, and in training its targets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from mogabench.data.images import read_image
from mogabench.data.views import View, normalize, transform

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mogabench.tasks.mesh.alignment import Array
    from mogabench.tasks.mesh.recipe import MeshAugment, MeshRecipe
    from mogabench.tasks.mesh.samples import TrainSamples

Item = dict[str, Any]

_BROWS = [*range(5, 15)]
"""FLAME's key points 5 to 14, from the right brow's outer end to the left one's."""

MIRRORED_FACE = (
    *(0, 1, 2, 4, 3, *_BROWS[::-1], 15, 16, 17, 18, 23, 22, 21, 20, 19),
    *(33, 32, 31, 30, 35, 34, 27, 26, 25, 24, 29, 28),
    *(42, 41, 40, 39, 38, 37, 36, 47, 46, 45, 44, 43),
    *(52, 51, 50, 49, 48, 55, 54, 53, *range(72, 55, -1)),
)
"""For each of FLAME's 73 key points the one that takes its place in a mirrored picture."""


class WholePictures(Dataset[Item]):
    """Whole images, upright, resized: ``inputs`` ``(3, H, W)`` and the image's ``index``.

    Args:
        files: The images.
        size: ``(height, width)`` of the pictures, in pixels.
    """

    def __init__(self, files: tuple[Path, ...], size: tuple[int, int]) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Item:
        image = read_image(self.files[index])
        picture = whole(image, self.size).show(image, self.size)
        return {"inputs": normalize(picture), "index": index}


class TrainingPictures(Dataset[Item]):
    """Images, augmented, with the target of each.

    An item has ``inputs`` ``(3, H, W)``, ``keypoints`` ``(K, 2)`` from -1 to 1, ``rotations``
    ``(R, 3)`` as axis and angle, ``turn`` ``(3, 3)`` by which the picture was turned, ``shape``
    ``(S,)``, ``expression`` ``(E,)`` and ``has_expression`` ``()``: a mirrored face has none to
    learn, since FLAME's expressions have no mirror images.

    Args:
        targets: The training set.
        recipe: Its size and augmentation.
    """

    def __init__(self, targets: TrainSamples, recipe: MeshRecipe) -> None:
        self.samples, self.size, self.augment = targets, recipe.input.size, recipe.augment

    def __len__(self) -> int:
        return len(self.samples.files)

    def __getitem__(self, index: int) -> Item:
        target = self.samples.targets[index % len(self.samples.targets)]
        image = read_image(self.samples.files[index])
        view = random_view(whole(image, self.size), self.augment)
        picture = degrade(view.show(image, self.size), self.augment)
        places = transform(target.keypoints, view.to_output(self.size))
        rotations = target.rotations
        if view.mirrored:
            places = places[list(MIRRORED_FACE)]
            rotations = rotations * (1, -1, -1)
        height, width = self.size
        return {
            "inputs": normalize(picture),
            "keypoints": torch.from_numpy(2 * places / (width, height) - 1).float(),
            "rotations": torch.from_numpy(rotations).float(),
            "turn": torch.from_numpy(in_space(view)).float(),
            "shape": torch.from_numpy(target.shape).float(),
            "expression": torch.from_numpy(target.expression).float(),
            "has_expression": torch.tensor(not view.mirrored),
        }


def whole(image: NDArray[np.uint8], size: tuple[int, int]) -> View:
    """The view of an image in full."""
    height, width = image.shape[:2]
    return View.around(np.array([0, 0, width, height], dtype=float), size, padding=1)


def random_view(view: View, augment: MeshAugment) -> View:
    """Another view of the same image, drawn from NumPy's generator, as MMHuman3D draws it."""
    draw = np.random
    x, y = draw.uniform(-augment.shift, augment.shift, 2) * view.width
    view = replace(view.move_by(x, y), mirrored=bool(draw.random() < augment.flip))
    return view.jitter(augment.scale, augment.rotation, augment.rotation_prob)


def degrade(picture: NDArray[np.uint8], augment: MeshAugment) -> NDArray[np.uint8]:
    """The picture in other colours and at a lower resolution, drawn from NumPy's generator."""
    draw = np.random
    noise = augment.channel_noise
    picture = np.asarray(cv2.multiply(picture, draw.uniform(1 - noise, 1 + noise, 3)), np.uint8)
    factor = draw.choice(augment.low_resolutions) if augment.low_resolutions else 1.0
    if factor > 1:
        height, width = picture.shape[:2]
        small = (int(width / factor), int(height / factor))
        # Linear both ways: MMHuman3D names other methods, but where cv2.resize takes an output.
        picture = np.asarray(cv2.resize(cv2.resize(picture, small), (width, height)), np.uint8)
    return picture


def in_space(view: View) -> Array:
    """The rotation ``(3, 3)`` of space that turns a picture as the view does."""
    turn = np.eye(3)
    turn[:2, :2] = view.turn()
    return turn

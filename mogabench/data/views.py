"""Images as pose and mesh networks see them: a part cut out, turned, normalised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from mogabench.data.normalization import Normalization

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Array = np.ndarray[Any, np.dtype[np.float64]]

IMAGENET = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""How `normalize` normalises."""

_MEAN = np.array(IMAGENET.mean, dtype=np.float32)
_STD = np.array(IMAGENET.std, dtype=np.float32)


@dataclass(frozen=True)
class View:
    """A part of an image that is shown upright to the network.

    Pixel ``(x, y)`` of an image has its centre at that very position, as in mmpose 0.x.

    Attributes:
        center: ``(x, y)`` in pixels of the image.
        width: Of the part, in pixels of the image; its height follows from the output's shape.
        rotation: Degrees by which the picture is turned, clockwise as one looks at it.
        mirrored: Whether left and right change places, before the rotation.
    """

    center: tuple[float, float]
    width: float
    rotation: float = 0.0
    mirrored: bool = False

    @classmethod
    def around(cls, box: Array, size: tuple[int, int], padding: float) -> View:
        """The smallest view in the output's shape that holds a box, padded.

        Args:
            box: ``(x, y, width, height)`` in pixels of the image.
            size: ``(height, width)`` of the output, in pixels.
            padding: How much larger it then gets.
        """
        x, y, width, height = map(float, box)
        wide = max(width, height * size[1] / size[0])
        return cls((x + width / 2, y + height / 2), wide * padding)

    def scale_by(self, factor: float) -> View:
        """The same, showing ``factor`` times as much."""
        return replace(self, width=self.width * factor)

    def move_by(self, x: float, y: float) -> View:
        """The same, elsewhere; ``x`` and ``y`` in pixels of the image."""
        return replace(self, center=(self.center[0] + x, self.center[1] + y))

    def jitter(self, scale: float, rotation: float, rotation_prob: float) -> View:
        """Another size and direction, drawn from NumPy's generator as mmpose 0.x draws them.

        Args:
            scale: Standard deviation of the size around 1, which is also the farthest from 1.
            rotation: Standard deviation in degrees; the farthest is twice that.
            rotation_prob: How often it is turned.
        """
        draw = np.random
        view = self.scale_by(1 + scale * np.clip(draw.standard_normal(), -1, 1))
        if draw.random() < rotation_prob:
            view = replace(view, rotation=rotation * np.clip(draw.standard_normal(), -2, 2))
        return view

    def height(self, size: tuple[int, int]) -> float:
        """Of the part, in pixels of the image, for an output of ``(height, width)``."""
        return self.width * size[0] / size[1]

    def to_output(self, size: tuple[int, int]) -> Array:
        """The matrix ``(2, 3)`` from the image to an output of ``(height, width)`` pixels."""
        turn = self.turn() * (size[1] / self.width)
        turn[:, 0] *= -1 if self.mirrored else 1
        middle = np.array([size[1] / 2, size[0] / 2])
        return np.column_stack([turn, middle - turn @ self.center])

    def to_image(self, size: tuple[int, int]) -> Array:
        """The matrix ``(2, 3)`` of the way back."""
        turn = self.turn().T * (self.width / size[1])
        turn[0] *= -1 if self.mirrored else 1
        middle = np.array([size[1] / 2, size[0] / 2])
        return np.column_stack([turn, np.array(self.center) - turn @ middle])

    def show(self, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """The picture ``(height, width, 3)`` of that part; black outside of the image."""
        matrix = self.to_output(size)
        warped = cv2.warpAffine(image, matrix, (size[1], size[0]), flags=cv2.INTER_LINEAR)
        return np.asarray(warped, np.uint8)

    def turn(self) -> Array:
        """The matrix ``(2, 2)`` of the rotation alone."""
        angle = np.deg2rad(self.rotation)
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def transform(points: Array, matrix: Array) -> Array:
    """Maps points ``(..., 2)`` by a matrix ``(2, 3)``."""
    moved: Array = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def normalize(picture: NDArray[np.uint8]) -> Tensor:
    """A picture ``(H, W, 3)`` with ImageNet's mean and deviation taken out, ``(3, H, W)``."""
    scaled = (picture.astype(np.float32) / 255 - _MEAN) / _STD
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))

"""From a box around a person to the network's input and back: one similarity transform."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array = np.ndarray[Any, np.dtype[np.float64]]

_PADDING = 1.25
"""A person's view is this much larger than the box."""


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
    def around(cls, box: Array, size: tuple[int, int], padding: float = _PADDING) -> View:
        """The smallest view in the output's shape that holds a box, padded.

        Args:
            box: ``(x, y, width, height)`` in pixels of the image.
            size: ``(height, width)`` of the output, in pixels.
            padding: How much larger it then gets.
        """
        x, y, width, height = map(float, box)
        wide = max(width, height * size[1] / size[0])
        return cls((x + width / 2, y + height / 2), wide * padding)

    def scaled(self, factor: float) -> View:
        """The same, showing ``factor`` times as much."""
        return replace(self, width=self.width * factor)

    def moved(self, x: float, y: float) -> View:
        """The same, elsewhere; ``x`` and ``y`` in pixels of the image."""
        return replace(self, center=(self.center[0] + x, self.center[1] + y))

    def height(self, size: tuple[int, int]) -> float:
        """Of the part, in pixels of the image, for an output of ``(height, width)``."""
        return self.width * size[0] / size[1]

    def to_output(self, size: tuple[int, int]) -> Array:
        """The matrix ``(2, 3)`` from the image to an output of ``(height, width)`` pixels."""
        turn = self._turn() * (size[1] / self.width)
        turn[:, 0] *= -1 if self.mirrored else 1
        middle = np.array([size[1] / 2, size[0] / 2])
        return np.column_stack([turn, middle - turn @ self.center])

    def to_image(self, size: tuple[int, int]) -> Array:
        """The matrix ``(2, 3)`` of the way back."""
        turn = self._turn().T * (self.width / size[1])
        turn[0] *= -1 if self.mirrored else 1
        middle = np.array([size[1] / 2, size[0] / 2])
        return np.column_stack([turn, np.array(self.center) - turn @ middle])

    def show(self, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """The picture ``(height, width, 3)`` of that part; black outside of the image."""
        matrix = self.to_output(size)
        warped = cv2.warpAffine(image, matrix, (size[1], size[0]), flags=cv2.INTER_LINEAR)
        return np.asarray(warped, np.uint8)

    def _turn(self) -> Array:
        angle = np.deg2rad(self.rotation)
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def transform(points: Array, matrix: Array) -> Array:
    """Maps points ``(..., 2)`` by a matrix ``(2, 3)``."""
    moved: Array = points @ matrix[:, :2].T + matrix[:, 2]
    return moved

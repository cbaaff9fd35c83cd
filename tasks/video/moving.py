"""Moving MNIST (Srivastava et al., 2015): digits that drift over a black canvas and bounce.

A scene says which digits move from where in which direction; it is a few numbers. Rendering turns
a batch of scenes into frames at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FRAMES = 20
"""Of a sequence: ten to see and ten to predict."""

CANVAS = 64
DIGITS = 2

_STEP = 0.1
"""How far a digit moves from frame to frame, as a part of the free way from wall to wall."""

_SLOWEST = 1e-9


@dataclass(frozen=True)
class Scenes:
    """What moves in each of ``B`` sequences of ``D`` digits.

    Attributes:
        digits: Indices of the digits' images ``(B, D)``.
        starts: Where they are before the first frame, ``(B, D, 2)``: y and x, as parts of the
            free way.
        angles: Their directions ``(B, D)`` in radians; 0 is to the right.
    """

    digits: NDArray[np.int64]
    starts: NDArray[np.float64]
    angles: NDArray[np.float64]

    def __getitem__(self, index: int) -> Scenes:
        """One of them, as a batch of one."""
        one = slice(index, index + 1)
        return Scenes(self.digits[one], self.starts[one], self.angles[one])


def draw_scenes(random: np.random.Generator, count: int, images: int) -> Scenes:
    """Draws scenes of two digits.

    Args:
        random: What to draw from.
        count: Scenes.
        images: Images to choose digits from.
    """
    return Scenes(
        digits=random.integers(images, size=(count, DIGITS)),
        starts=random.random((count, DIGITS, 2)),
        angles=random.random((count, DIGITS)) * 2 * np.pi,
    )


def join(scenes: Sequence[Scenes]) -> Scenes:
    """Several batches of scenes as one."""
    return Scenes(
        digits=np.concatenate([each.digits for each in scenes]),
        starts=np.concatenate([each.starts for each in scenes]),
        angles=np.concatenate([each.angles for each in scenes]),
    )


def render(
    images: NDArray[np.uint8], scenes: Scenes, *, frames: int = FRAMES, canvas: int = CANVAS
) -> NDArray[np.uint8]:
    """Draws the scenes; where digits overlap, the brighter pixel wins.

    Args:
        images: Digits ``(N, S, S)``, with S at most the canvas.
        scenes: What to draw, ``B`` sequences.
        frames: Of each sequence, ``T``.
        canvas: Height and width of a frame.

    Returns:
        Frames ``(B, T, canvas, canvas)``.
    """
    size = images.shape[-1]
    count, digits = scenes.digits.shape
    video = np.zeros((count, frames, canvas, canvas), np.uint8)
    # NumPy copies an element at once: let one element be a whole row of a digit. Then
    # ``patches[offset]`` are the rows of the square whose first pixel is ``offset`` bytes in.
    row = np.dtype((np.void, size))
    last = video.size - (size - 1) * (canvas + 1)
    patches = np.ndarray((last, size), row, video, strides=(1, canvas))
    rows = np.ascontiguousarray(images).view(row)[..., 0]
    places = _corners(scenes, frames, canvas - size)
    offsets = np.arange(count * frames).reshape(count, frames).T * canvas**2
    for digit in range(digits):
        at = offsets + places[..., digit, 0] * canvas + places[..., digit, 1]
        image = rows[scenes.digits[:, digit]]
        if digit:
            drawn = patches[at]
            pixels = drawn.view(np.uint8)
            np.maximum(pixels, image.view(np.uint8), out=pixels)
            patches[at] = drawn
        else:
            patches[at] = image
    return video


def _corners(scenes: Scenes, frames: int, free: int) -> NDArray[np.int64]:
    """The upper left corners ``(T, B, D, 2)`` of the digits, as pixels down and to the right.

    A digit stops at a wall for the rest of the step that takes it there, so it goes from wall to
    wall in a whole number of steps, and every position is a formula of its frame's number.
    """
    moves = _STEP * np.stack([np.sin(scenes.angles), np.cos(scenes.angles)], axis=-1)
    grows, speeds = moves > 0, np.maximum(np.abs(moves), _SLOWEST)
    to_wall = np.where(grows, 1 - scenes.starts, scenes.starts)
    first_hit = np.maximum(np.ceil(to_wall / speeds), 1)
    lap = np.ceil(1 / speeds)

    steps = np.arange(1, frames + 1)[:, None, None, None]
    since_hit = steps - first_hit
    phase = since_hit - 2 * lap * np.floor(since_hit / (2 * lap))
    comes_back = phase >= lap
    from_wall = (phase - lap * comes_back) * speeds
    bounced = np.where(grows ^ comes_back, 1 - from_wall, from_wall)
    positions = np.where(since_hit < 0, scenes.starts + steps * moves, bounced)
    return (free * positions).astype(np.int64)

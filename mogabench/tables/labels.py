"""Places for the labels of a plot: beside their marks, and on nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Point = tuple[float, float]

_GAP = 3.0
_RINGS = (0.0, 6.0, 14.0, 24.0, 36.0)
"""How much farther from its mark a label may be, in turn."""
_ANGLES = tuple(math.radians(angle) for angle in (0, 180, -40, 40, -140, 140, -90, 90, -65, 65))


@dataclass(frozen=True)
class Box:
    """A rectangle, by its centre and size."""

    x: float
    y: float
    width: float
    height: float

    def meets(self, other: Box) -> bool:
        """Whether the two overlap."""
        return (
            abs(self.x - other.x) * 2 < self.width + other.width
            and abs(self.y - other.y) * 2 < self.height + other.height
        )

    def is_inside(self, other: Box) -> bool:
        """Whether it lies in another one."""
        return (
            abs(self.x - other.x) * 2 <= other.width - self.width
            and abs(self.y - other.y) * 2 <= other.height - self.height
        )

    def is_crossed(self, start: Point, end: Point) -> bool:
        """Whether a line from start to end goes through it (Liang and Barsky, 1984)."""
        first, last = 0.0, 1.0
        for begin, finish, middle, size in (
            (start[0], end[0], self.x, self.width),
            (start[1], end[1], self.y, self.height),
        ):
            low, high, step = middle - size / 2 - begin, middle + size / 2 - begin, finish - begin
            if step == 0:
                if low > 0 or high < 0:
                    return False
                continue
            first = max(first, min(low / step, high / step))
            last = min(last, max(low / step, high / step))
        return first < last


@dataclass(frozen=True)
class Spot:
    """A mark at a place, with the size of its label; no label where that has no width."""

    x: float
    y: float
    radius: float
    width: float = 0.0
    height: float = 0.0

    @property
    def box(self) -> Box:
        """What the mark itself covers."""
        return Box(self.x, self.y, 2 * self.radius, 2 * self.radius)


@dataclass(frozen=True)
class Place:
    """The centre of a label; ``is_far`` where a line should lead to its mark."""

    x: float
    y: float
    is_far: bool


def place_labels(
    spots: Sequence[Spot], frame: Box, lines: Sequence[Sequence[Point]] = ()
) -> list[Place | None]:
    """Places labels near their marks, on no mark, no other label and, if it can be, on no line.

    Args:
        spots: The marks in the order in which their labels choose; lengths are in points.
        frame: What no label may leave.
        lines: Lines through marks, by their corners.

    Returns:
        The place of each label; None for a mark without one, and where there is no room.
    """
    taken = [spot.box for spot in spots]
    segments = [segment for line in lines for segment in pairwise(line)]
    places: list[Place | None] = []
    for spot in spots:
        free = [
            (place, box)
            for place, box in _candidates(spot)
            if box.is_inside(frame) and not any(map(box.meets, taken))
        ]
        clear = (item for item in free if not any(item[1].is_crossed(*s) for s in segments))
        place, box = next(clear, free[0] if free else (None, None))
        places.append(place)
        if box is not None:
            taken.append(box)
    return places


def _candidates(spot: Spot) -> Iterator[tuple[Place, Box]]:
    """Places around a mark, the best first."""
    if not spot.width:
        return
    for ring in _RINGS:
        for angle in _ANGLES:
            right, down = math.cos(angle), math.sin(angle)
            reach = spot.radius + _GAP + ring
            x = spot.x + right * (reach + spot.width / 2)
            y = spot.y + down * (reach + spot.height / 2)
            yield Place(x, y, ring > _RINGS[1]), Box(x, y, spot.width, spot.height)

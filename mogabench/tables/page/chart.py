"""A plot of the page: marks at places in a frame, as the template draws them in SVG.

Marks are links to rows, and colours are those of the page, light or dark, which is why they are
drawn here and not by matplotlib; `mogabench.tables.plots` draws the plots of a paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

from mogabench.tables.labels import Box, Spot, place_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH, HEIGHT = 560, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 46
_FEW = 12
_TICKS, _FEWEST_TICKS = 6, 3
_LETTER, _LINE = 6.4, 12
"""About the width and the height of a label's letter."""


@dataclass(frozen=True)
class Axis:
    """An axis from the lowest to the highest value that it shows."""

    label: str
    low: float
    high: float
    is_log: bool = False
    ticks: tuple[float, ...] = ()

    def share(self, value: float) -> float:
        """How far along the axis a value lies, from 0 to 1."""
        low, high, at = self.low, self.high, value
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)


@dataclass(frozen=True)
class Mark:
    """A figure in a plot.

    Attributes:
        x, y: Its values.
        anchor: The row that it belongs to, by its name in the page.
        text: What it is, with its values, in words.
        style: The class of its colour.
        shape: ``circle``, ``square``, ``diamond`` or ``triangle``.
        radius: In the plot's units.
        label: What stands beside it; empty for nothing.
        is_hollow: Whether only its outline is drawn.
        detail: The number of its cell's list in the page's details.
    """

    x: float
    y: float
    anchor: str
    text: str
    style: str
    shape: str = "circle"
    radius: float = 4.5
    label: str = ""
    is_hollow: bool = False
    detail: int | None = None


@dataclass(frozen=True)
class Key:
    """An entry of the legend."""

    text: str
    style: str
    shape: str = "circle"
    is_hollow: bool = False


@dataclass(frozen=True)
class Label:
    """A label with its centre, and the mark that a line leads to where that is not beside it."""

    text: str
    x: float
    y: float
    lead: tuple[float, float] | None = None


@dataclass(frozen=True)
class Chart:
    """A plot: its axes, marks, the lines through some of them, and the legend."""

    id: str
    title: str
    note: str
    x: Axis
    y: Axis
    marks: list[Mark]
    lines: list[list[Mark]] = field(default_factory=list)
    legend: list[Key] = field(default_factory=list)
    front: list[Mark] = field(default_factory=list)
    """The marks of the Pareto front."""
    level: float | None = None
    """Where a line goes across, such as that of equal figures."""

    width, height = WIDTH, HEIGHT
    left, right = _LEFT, WIDTH - _RIGHT
    top, bottom = _TOP, HEIGHT - _BOTTOM

    def across(self, value: float) -> float:
        """The place of a value of the horizontal axis."""
        return round(self.left + self.x.share(value) * (self.right - self.left), 1)

    def down(self, value: float) -> float:
        """The place of a value of the vertical axis."""
        return round(self.bottom - self.y.share(value) * (self.bottom - self.top), 1)

    def path(self, marks: Sequence[Mark]) -> str:
        """The points of a line through some marks."""
        return " ".join(f"{self.across(mark.x)},{self.down(mark.y)}" for mark in marks)

    def outline(self, mark: Mark) -> Markup:
        """The SVG element of a mark."""
        return shape_element(mark.shape, self.across(mark.x), self.down(mark.y), mark.radius)

    @property
    def is_dense(self) -> bool:
        """Whether it has more labels than a narrow screen has room for."""
        return sum(bool(mark.label) for mark in self.marks) > _FEW

    def labels(self) -> Iterator[Label]:
        """The labels that have room; of the others, the marks say the same when they are asked.

        Of marks with one name in one place, as of a network that stands in two tables, one has a
        label.
        """
        named = list(
            {(mark.label, mark.x, mark.y): mark for mark in self.marks if mark.label}.values()
        )
        spots = [
            Spot(
                self.across(mark.x),
                self.down(mark.y),
                mark.radius,
                len(mark.label) * _LETTER,
                _LINE,
            )
            for mark in named
        ]
        width, height = self.right - self.left, self.bottom - self.top
        frame = Box(self.left + width / 2, self.top + height / 2, width, height)
        lines = [[(self.across(m.x), self.down(m.y)) for m in line] for line in self.lines]
        for mark, spot, place in zip(named, spots, place_labels(spots, frame, lines), strict=True):
            if place is not None:
                lead = (spot.x, spot.y) if place.is_far else None
                yield Label(mark.label, round(place.x, 1), round(place.y, 1), lead)


def shape_element(shape: str, x: float, y: float, radius: float) -> Markup:
    """The SVG element of a shape around a place; all shapes have about the same area."""
    if shape == "circle":
        return Markup('<circle cx="{}" cy="{}" r="{}"/>').format(x, y, round(radius, 1))
    corners = {
        "square": ((-0.89, -0.89), (0.89, -0.89), (0.89, 0.89), (-0.89, 0.89)),
        "diamond": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
        "triangle": ((0, -1.4), (1.25, 0.8), (-1.25, 0.8)),
    }[shape]
    points = " ".join(
        f"{x + radius * right:.1f},{y + radius * down:.1f}" for right, down in corners
    )
    return Markup('<polygon points="{}"/>').format(points)


def log_axis(
    label: str, values: Sequence[float], *, room: float = 1.15, among: Sequence[float] = ()
) -> Axis:
    """A logarithmic axis; where it would have fewer than three ticks they are evenly spaced.

    Args:
        label: What it shows.
        values: The values.
        room: The factor that it goes on beyond them.
        among: What ticks are chosen from; by default 1, 2 and 5 of each power of ten.
    """
    low, high = min(values) / room, max(values) * room
    ticks = tuple(tick for tick in among or _round_numbers(low, high) if low <= tick <= high)
    for count in (_TICKS, 2 * _TICKS):
        if len(ticks) < _FEWEST_TICKS:
            ticks = _even_ticks(low, high, count)
    return Axis(label, low, high, is_log=True, ticks=ticks)


def _round_numbers(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 2000 else (1,)
    return [float(f"{step}e{power}") for power in powers for step in steps]


def linear_axis(label: str, values: Sequence[float], *, ticks: int = _TICKS) -> Axis:
    """A linear axis with some room around the values, and about so many ticks."""
    room = 0.05 * (max(values) - min(values) or 1)
    low, high = min(values) - room, max(values) + room
    return Axis(label, low, high, ticks=_even_ticks(low, high, ticks))


def _even_ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    """About so many round numbers, evenly spaced."""
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough)
    first = math.ceil(low / step)
    return tuple(round(n * step, 10) for n in range(first, math.floor(high / step) + 1))

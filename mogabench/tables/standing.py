"""Which networks of a plot are more accurate than the paper's own at equal cost, and which less."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mogabench.tables.points import front_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mogabench.tables.points import Point, Scatter

LEVEL = 0.2
"""Percentage points of top-1 that tell nothing: its standard error on 50 000 images is 0.17."""


class Standing(NamedTuple):
    """Networks by their distance from the paper's own.

    Attributes:
        above: More accurate, each with the distance in percentage points, the farthest first.
        level: As accurate, to `LEVEL`.
        below: Less accurate.
        outside: Cheaper than each of the paper's own and less accurate, or dearer and more
            accurate, so that neither is better.
    """

    above: list[tuple[Point, float]]
    level: list[tuple[Point, float]]
    below: list[tuple[Point, float]]
    outside: list[Point]


def standing(scatter: Scatter) -> Standing | None:
    """Compares each network with the line through the paper's own at its cost.

    The line is straight between neighbouring sizes, over the logarithm of the cost, and level
    beyond the last. It leaves out a size that another one beats in both: who wants the paper's
    network takes the other.

    Returns:
        None where the plot shows no front, or fewer than two sizes of the paper's own.
    """
    if not scatter.front:
        return None
    sizes = [point for point in scatter.points if point.family == scatter.ours]
    own = sorted(front_of(sizes, best=scatter.best), key=lambda p: p.cost)
    if len(own) < 2:
        return None
    costs = np.log([point.cost for point in own])
    found = Standing([], [], [], [])
    for point in scatter.points:
        if point.family == scatter.ours:
            continue
        line = np.interp(np.log(point.cost), costs, [p.accuracy for p in own])
        distance = round(float(point.accuracy - line), 1) + 0.0  # no -0.0
        if abs(distance) <= LEVEL:
            found.level.append((point, distance))
        elif _is_cheaper(point, own, scatter) if distance < 0 else _is_dearer(point, own, scatter):
            found.outside.append(point)
        else:
            (found.above if distance > 0 else found.below).append((point, distance))
    for group in (found.above, found.level, found.below):
        group.sort(key=lambda item: -item[1])
    return found


def _is_cheaper(point: Point, own: Sequence[Point], scatter: Scatter) -> bool:
    """Whether it costs less than each of the others."""
    return all(scatter.best(point.cost, other.cost) != other.cost for other in own)


def _is_dearer(point: Point, own: Sequence[Point], scatter: Scatter) -> bool:
    """Whether it costs more than each of the others."""
    return all(scatter.best(point.cost, other.cost) != point.cost for other in own)


def standing_text(scatter: Scatter) -> str:
    """The comparison as a paragraph; empty where there is none."""
    found = standing(scatter)
    if found is None:
        return ""
    ours = scatter.ours
    what = scatter.cost.partition(" (")[0]
    if not any(point.column for point in scatter.points):  # of throughputs
        what = "measured speed, each network in its fastest runtime"
    sentences = [
        f"Compared with {ours}'s Pareto front at equal {what}, and beyond it with its end.",
        "Accuracies are the printed ones; training recipes differ.",
        f"More accurate: {_listed(found.above)}.",
        f"Within {LEVEL} points: {_listed(found.level)}.",
        f"Less accurate: {_listed(found.below)}.",
    ]
    if found.outside:
        names = _by_family((point, "") for point in found.outside)
        what = f"Cheaper than every {ours} and less accurate, or dearer and more accurate"
        sentences.append(f"{what}: {names}.")
    return " ".join(sentences)


def _listed(group: Sequence[tuple[Point, float]]) -> str:
    return _by_family((point, f" ({distance:+.1f})") for point, distance in group) or "none"


def _by_family(items: Iterable[tuple[Point, str]]) -> str:
    """Families with their sizes, such as ``CAFormer S18 (+0.9), S36 (+1.1); RDNet T (+0.5)``."""
    families = defaultdict(list)
    for point, text in items:
        families[point.family].append(f"{point.size}{text}")
    return "; ".join(f"{family} {', '.join(sizes)}" for family, sizes in families.items())

"""Drawings of a paper's plots, for print."""

from __future__ import annotations

import io
import math
from collections import defaultdict
from textwrap import wrap
from typing import TYPE_CHECKING

from mogabench.tables.labels import Box, Spot, place_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mogabench.tables.points import Point, Scatter

FORMATS = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""The endings of a figure's files, each with the metadata that would differ from run to run."""

_OUR_STYLE = ("#c1121f", "*")
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7f7f7f", "#8c6d31")
"""Okabe and Ito's, which readers with a colour vision deficiency tell apart, and two more."""
_MARKERS = "osD^vPXph<>"
"""Their number shares no divisor with that of the colours: no two of 88 families look alike."""
_LABEL_SIZE = 7.5


def draw_scatter(scatter: Scatter) -> dict[str, bytes]:
    """Draws points as one line per family and runtime, each with its size's name.

    The paper's own family is on top. Where the points have operations, these are the areas of the
    marks. A broad line leads through the Pareto front.

    Returns:
        The picture by the endings of `FORMATS`.
    """
    from matplotlib.figure import Figure as NewFigure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = NewFigure(figsize=(9, 6), layout="constrained", dpi=120)
    axes = figure.subplots()
    families = defaultdict(list)
    for point in scatter.points:
        families[point.family].append(point)
    styles = _styles(families, scatter.ours)
    for family, members in families.items():
        _draw_family(axes, family, members, styles[family], scatter.area)
    if scatter.front:
        places = [point.cost for point in scatter.front], [p.accuracy for p in scatter.front]
        axes.plot(*places, color="0.75", lw=7, zorder=1, label="none better in both")
    runtimes = ", ".join(sorted({point.runtime for point in scatter.points} - {""}))
    if runtimes:
        axes.plot([], [], "o--", color="grey", fillstyle="none", label=f"in {runtimes},\nfused")
    if any(map(scatter.area, scatter.points)):
        axes.plot([], [], linestyle="", label="area: operations")
    axes.set(xlabel=scatter.cost, ylabel="ImageNet-1K top-1 (%), as printed", xscale="log")
    axes.set_title("\n".join(wrap(scatter.title, 80)), fontsize=11)
    axes.margins(0.07)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())  # labels of 6 to 9 would lie on each other
    axes.grid(alpha=0.3, which="both")
    handles, names = axes.get_legend_handles_labels()
    order = sorted(range(len(names)), key=lambda n: names[n] != scatter.ours)
    figure.legend(
        [handles[n] for n in order],
        [names[n] for n in order],
        fontsize=8,
        loc="outside right upper",
    )
    figure.draw_without_rendering()  # the labels need the axes in their place
    _label(axes, families, styles, scatter.area)
    return pictures(figure, scatter.title)


def _styles(families: Iterable[str], ours: str) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each family."""
    others = enumerate(family for family in families if family != ours)
    styles = {
        family: (_COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)])
        for number, family in others
    }
    return styles | {ours: _OUR_STYLE}


def _draw_family(
    axes: Axes,
    family: str,
    members: Sequence[Point],
    style: tuple[str, str],
    area: Callable[[Point], float],
) -> None:
    """Draws a line through the family in PyTorch, and a broken one in other runtimes."""
    color, marker = style
    ours = style == _OUR_STYLE
    for in_runtime in (False, True):
        part = sorted(
            (point for point in members if bool(point.runtime) == in_runtime),
            key=lambda point: point.cost,
        )
        if not part:
            continue
        costs, accuracies = [p.cost for p in part], [p.accuracy for p in part]
        order = 3 if ours else 2
        line = "--" if in_runtime else "-"
        axes.plot(costs, accuracies, line, color=color, lw=2 if ours else 0.9, zorder=order)
        axes.scatter(
            costs,
            accuracies,
            s=[area(point) or (150 if ours else 30) for point in part],
            marker=marker,
            facecolor="none" if in_runtime else color,
            edgecolor=color if in_runtime else "white",
            linewidth=1.0 if in_runtime else 0.5,
            alpha=0.85,
            zorder=order,
        )
    axes.plot([], [], "-", marker=marker, color=color, markersize=11 if ours else 6, label=family)


def _label(
    axes: Axes,
    families: Mapping[str, Sequence[Point]],
    styles: Mapping[str, tuple[str, str]],
    area: Callable[[Point], float],
) -> None:
    """Writes the size of each network beside its mark, in places that are counted in points."""
    from matplotlib.patheffects import withStroke

    in_points = 72 / axes.figure.dpi

    def place(point: Point) -> tuple[float, float]:
        across, down = axes.transData.transform((point.cost, point.accuracy)) * in_points
        return float(across), float(down)

    ours_first = sorted(families.items(), key=lambda item: styles[item[0]] != _OUR_STYLE)
    points = [point for _, members in ours_first for point in members]
    spots = [
        Spot(
            *place(point),
            radius=math.sqrt(area(point) / math.pi) if area(point) else 4.0,
            width=0.62 * _LABEL_SIZE * len(point.size),
            height=1.1 * _LABEL_SIZE,
        )
        for point in points
    ]
    left, bottom, right, top = (value * in_points for value in axes.bbox.extents)
    frame = Box((left + right) / 2, (bottom + top) / 2, right - left, top - bottom)
    lines = [[place(p) for p in sorted(m, key=lambda p: p.cost)] for m in families.values()]
    for point, spot, found in zip(points, spots, place_labels(spots, frame, lines), strict=True):
        if found is not None:
            axes.annotate(
                point.size,
                (point.cost, point.accuracy),
                (found.x - spot.x, found.y - spot.y),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=_LABEL_SIZE,
                color=styles[point.family][0],
                path_effects=[withStroke(linewidth=2, foreground="white")],
                arrowprops={"arrowstyle": "-", "color": "grey", "lw": 0.6}
                if found.is_far
                else None,
            )


def pictures(figure: Figure, title: str) -> dict[str, bytes]:
    """A figure by the endings of `FORMATS`, the same bytes in every run.

    Args:
        figure: A figure of matplotlib.
        title: Goes into the files' metadata.
    """
    from matplotlib import rc_context

    files = {}
    for ending, metadata in FORMATS.items():
        stream = io.BytesIO()
        with rc_context({"svg.hashsalt": title}):  # else each run names its parts otherwise
            figure.savefig(stream, format=ending, metadata={"Title": title} | metadata)
        files[ending] = stream.getvalue()
    return files

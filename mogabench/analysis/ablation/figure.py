"""An ablation as a figure: cost against cost, or the accuracies of short trainings."""

from __future__ import annotations

from itertools import cycle
from textwrap import wrap
from typing import TYPE_CHECKING

from mogabench.analysis.ablation.study import as_csv
from mogabench.analysis.figures import Figure
from mogabench.tables.plots import pictures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from mogabench.analysis.ablation.study import Line

_RATIO = ", r = "
"""Before the MLP ratio in the labels of Figure 4c, whose other part is the kind of module."""


def draw(lines: Sequence[Line], name: str, title: str) -> Figure:
    """Draws accuracies where there are some, else parameters against operations.

    Args:
        lines: The networks.
        name: Of the figure's files.
        title: Goes above it.
    """
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(8, 5), layout="constrained", dpi=120)
    axes = canvas.subplots()
    if any(line.accuracies for line in lines):
        _draw_accuracies(axes, lines)
    else:
        _draw_costs(axes, lines)
    canvas.suptitle("\n".join(wrap(title, 80)))
    axes.grid(alpha=0.3)
    return Figure(name, pictures(canvas, title), as_csv(lines))


def _draw_accuracies(axes: Axes, lines: Sequence[Line]) -> None:
    """A row for each network: its seeds, their mean and its standard error."""
    for place, line in enumerate(lines):
        found = list(line.accuracies.values())
        axes.plot(found, [place] * len(found), "o", color="tab:gray", alpha=0.5, markersize=4)
        if line.mean is not None and line.deviation is not None:
            error = line.deviation / len(found) ** 0.5
            axes.errorbar(line.mean, place, xerr=error, fmt="D", color="tab:blue", capsize=3)
    axes.set_yticks(range(len(lines)), [f"{line.label}  ({line.name})" for line in lines])
    axes.invert_yaxis()
    axes.set_xlabel("top-1 accuracy (%): each seed, their mean and its standard error")


def _draw_costs(axes: Axes, lines: Sequence[Line]) -> None:
    """A curve for each kind of module; each ratio is written beside its largest network."""
    kinds: dict[str, list[tuple[float, float]]] = {}
    largest: dict[str, tuple[float, float]] = {}
    for line in lines:
        kind, _, ratio = line.label.partition(_RATIO)
        cost = (line.parameters / 1e6, line.operations / 1e9)
        kinds.setdefault(kind, []).append(cost)
        largest[ratio] = max(cost, largest.get(ratio, cost))
    for (kind, costs), marker in zip(kinds.items(), cycle("os^Dv<>ph*XPd"), strict=False):
        axes.plot(
            *zip(*costs, strict=True), marker=marker, label=kind, linewidth=1, fillstyle="none"
        )
    for ratio, cost in largest.items():
        if ratio:
            axes.annotate(f"r = {ratio}", cost, xytext=(8, -4), textcoords="offset points")
    axes.margins(x=0.1)
    axes.set(xlabel="parameters (M)", ylabel="operations (G multiply-accumulates)")
    axes.legend(fontsize=8)

"""The figure of receptive fields: a map for each network and size, and the parts within squares."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

from mogabench.analysis.figures import Figure, figure_name, identity
from mogabench.analysis.receptive_field.field import THRESHOLDS
from mogabench.analysis.receptive_field.record import as_csv
from mogabench.tables.plots import pictures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from mogabench.analysis.receptive_field.record import Measured
    from mogabench.records import Record

_FAINTEST = 1e-4
"""The smallest contribution that a map shows, as a part of the largest."""

_CELLS = 112
"""The most cells to a side of a map; the pixels within one are averaged."""

_STYLES = ("-", "--", ":", "-.")
"""Line styles of the curves, by size."""


def figure(found: Sequence[Measured], records: Sequence[Record]) -> Figure:
    """The figure of the networks: maps in columns by network and rows by size, curves below.

    Args:
        found: What was measured.
        records: Of the same, which tell this figure from others of the same labels.
    """
    networks = list(dict.fromkeys(one.label for one in found))
    images = " and ".join(dict.fromkeys(one.data for one in found))
    title = f"Effective receptive field on {images}: {'; '.join(networks)}"
    name = figure_name("receptive_field", networks, map(identity, records))
    return Figure(name, _draw(found, title), as_csv(found))


def _draw(found: Sequence[Measured], title: str) -> dict[str, bytes]:
    from matplotlib.figure import Figure as Canvas

    networks = list(dict.fromkeys(one.label for one in found))
    sizes = sorted({one.size for one in found})
    width = 3.6 * max(len(networks), 2)
    canvas = Canvas(figsize=(width, 4.3 * len(sizes) + 4.7), layout="constrained", dpi=100)
    grid = canvas.add_gridspec(len(sizes) + 1, len(networks))
    for one in found:
        place = grid[sizes.index(one.size), networks.index(one.label)]
        image = _draw_map(canvas.add_subplot(place), one)
    bar = canvas.colorbar(image, ax=canvas.axes, location="top", shrink=0.6, aspect=40)
    bar.set_label("contribution, relative to the largest one")
    curves = canvas.add_subplot(grid[-1, :])
    for one in found:
        curves.plot(
            100 * one.field.squares.area.numpy(),
            one.field.squares.contribution.numpy(),
            color=f"C{networks.index(one.label)}",
            linestyle=_STYLES[sizes.index(one.size) % len(_STYLES)],
            label=fill(f"{one.label}, {one.size}x{one.size}", 60),
        )
    _finish_curves(curves)
    canvas.suptitle(fill(title, int(11 * width)), fontsize=11)
    return pictures(canvas, title)


def _draw_map(axes: Axes, one: Measured) -> Any:
    """The contributions in log scale, with the squares that hold parts of it."""
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle
    from torch.nn.functional import adaptive_avg_pool2d

    squares, contribution = one.field.squares, one.field.contribution
    cells = adaptive_avg_pool2d(contribution[None], min(one.size, _CELLS))[0]
    image = axes.imshow(
        (cells / cells.max()).clamp(min=_FAINTEST).numpy(),
        norm=LogNorm(_FAINTEST, 1),
        cmap="magma",
        interpolation="nearest",
        extent=(-0.5, one.size - 0.5, one.size - 0.5, -0.5),
    )
    row, column = squares.centre
    for threshold in THRESHOLDS:
        radius = int((squares.contribution >= threshold).int().argmax())
        corner, side = (column - radius - 0.5, row - radius - 0.5), 2 * radius + 1
        axes.add_patch(Rectangle(corner, side, side, fill=False, color="cyan", lw=0.8))
    ratios = zip(THRESHOLDS, one.field.ratios, one.field.error, strict=False)
    parts = [f"{part:.0%}: {100 * ratio:.2f}±{100 * error:.2f} %" for part, ratio, error in ratios]
    lines = [
        fill(one.label, 42),
        f"{one.size}x{one.size}, {one.field.images} images",
        ", ".join(parts[:2]),
        ", ".join(parts[2:]),
    ]
    axes.set_title("\n".join(lines), fontsize=8)
    axes.set(xticks=[], yticks=[])
    return image


def _finish_curves(axes: Axes) -> None:
    from matplotlib.ticker import PercentFormatter

    for threshold in THRESHOLDS:
        axes.axhline(threshold, color="grey", linewidth=0.5)
    axes.set(xlabel="area of the square (% of the image)", ylabel="contribution within it")
    axes.set(xscale="log", xlim=(None, 100), ylim=(0, 1))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(fontsize=7, loc="upper left")

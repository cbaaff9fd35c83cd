"""Figure 3's counterpart: interaction strength against order."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from mogabench.analysis.figures import Figure
from mogabench.analysis.interaction.record import as_csv, curves
from mogabench.files import slug
from mogabench.tables.plots import pictures

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from mogabench.analysis.interaction.record import Curve
    from mogabench.records import Store


def figures(store: Store, only: Collection[tuple[str, str]] | None = None) -> Iterator[Figure]:
    """A figure for each data set that the store has interaction strengths on.

    Args:
        store: The records.
        only: Names and digests of the data sets; None for all.
    """
    for data, found in curves(store, only).items():
        title = f"Figure 3's counterpart: multi-order interaction strength on {data}"
        yield Figure(f"interaction_{slug(data)}", _draw(found, title), as_csv(found))


def _draw(curves: Sequence[Curve], title: str) -> dict[str, bytes]:
    """A line for each network, with bars of one standard error."""
    from matplotlib.figure import Figure as Canvas
    from matplotlib.ticker import PercentFormatter

    figure = Canvas(figsize=(8, 5), layout="constrained", dpi=120)
    axes = figure.subplots()
    for curve in sorted(curves, key=lambda one: one.network):
        axes.errorbar(
            curve.orders,
            curve.strength,
            yerr=curve.error,
            label=f"{curve.network} ({curve.images} images, {curve.pairs} pairs of "
            f"{curve.grid}x{curve.grid} patches, {curve.contexts} contexts)",
            marker="o",
            markersize=3,
            capsize=2,
            linewidth=2 if curve.network.startswith("moganet") else 1,
        )
    axes.set(xlabel="order: patches in the context", ylabel="interaction strength (mean 1)")
    axes.set_title("\n".join(wrap(title, 80)))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return pictures(figure, title)

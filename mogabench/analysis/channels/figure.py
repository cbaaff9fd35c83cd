"""Figure 6's counterpart: channel energy ranks, and saliency maps of channels."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from mogabench.analysis.channels.record import curve, energies_csv, saliency_csv
from mogabench.analysis.figures import Figure, figure_name, identity
from mogabench.tables.plots import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes

    from mogabench.analysis.channels.record import Measured
    from mogabench.records import Record


def figures(found: Sequence[Measured], records: Sequence[Record]) -> Iterator[Figure]:
    """The two figures of the networks.

    Args:
        found: What was measured.
        records: Of the same, which tell these figures from others of the same labels.
    """
    networks = [one.label for one in found]
    where = f"on {' and '.join(dict.fromkeys(one.data for one in found))}: {'; '.join(networks)}"
    title = f"Figure 6's counterpart: channel energy ranks {where}"
    name = figure_name("channel_energy", networks, map(identity, records))
    yield Figure(name, _draw_energies(found, title), energies_csv(found))
    title = f"Figure 6's counterpart: channel saliency maps {where}"
    name = figure_name("channel_saliency", networks, map(identity, records))
    yield Figure(name, _draw_saliency(found, title), saliency_csv(found))


def _draw_energies(found: Sequence[Measured], title: str) -> dict[str, bytes]:
    """A panel for each stage, a curve for each network and layer."""
    from matplotlib.figure import Figure as Canvas

    stages = sorted({energy.layer.stage for one in found for energy in one.energies})
    width = 4 * len(stages)
    canvas = Canvas(figsize=(width, 4.5 + 0.5 * len(found)), layout="constrained", dpi=110)
    panels = canvas.subplots(1, len(stages), sharey=True, squeeze=False)[0]
    for stage, axes in zip(stages, panels, strict=True):
        for color, one in enumerate(found):
            for style, energy in zip(
                ("-", "--"), (e for e in one.energies if e.layer.stage == stage), strict=False
            ):
                ranks, relative = curve(energy)
                axes.plot(
                    [rank / len(energy.energy) for rank in ranks],
                    relative,
                    color=f"C{color}",
                    linestyle=style,
                    label=fill(
                        f"{one.label}, {energy.layer.point}, evenness "
                        f"{energy.evenness:.3f}±{energy.error:.3f}",
                        44,
                    ),
                )
        _finish_panel(axes, stage)
    panels[0].set_ylabel("energy, relative to the mean over channels")
    canvas.suptitle(fill(title, int(12 * width)), fontsize=11)
    return pictures(canvas, title)


def _finish_panel(axes: Axes, stage: int) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.axhline(1, color="grey", linewidth=0.5)
    axes.set(title=f"stage {stage}", xlabel="rank of the channel", yscale="log", xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(fontsize=6, loc="lower left")


def _draw_saliency(found: Sequence[Measured], title: str) -> dict[str, bytes]:
    """A row for each network and layer: the image, then channels by falling energy."""
    from matplotlib.figure import Figure as Canvas

    rows = [(one, layer) for one in found for layer in one.saliency]
    columns = 1 + max(len(layer.ranks) for _, layer in rows)
    canvas = Canvas(figsize=(1.9 * columns, 2.3 * len(rows) + 0.8), layout="constrained", dpi=110)
    panels = canvas.subplots(len(rows), columns, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for (one, layer), (first, *others) in zip(rows, panels, strict=True):
        pixels = one.image - one.image.amin()
        first.imshow((pixels / pixels.amax()).permute(1, 2, 0).numpy()[..., :3])
        first.set_title(fill(f"{one.label}, {layer.layer}", 26), fontsize=7)
        for axes, rank, square in zip(others, layer.ranks, layer.maps, strict=False):
            axes.imshow(square.numpy(), cmap="viridis", vmin=0, interpolation="nearest")
            axes.set_title(f"rank {rank}\nlargest {square.max():.2g}", fontsize=7)
    canvas.suptitle(fill(title, 13 * columns), fontsize=10)
    return pictures(canvas, title)

"""Figure 8's counterpart: images, and what each network looks at in them."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from mogabench.analysis.figures import Figure, csv_text, figure_name, identity
from mogabench.data.images import read_image
from mogabench.tables.plots import pictures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from mogabench.analysis.gradcam.cam import Activation
    from mogabench.analysis.trained import TrainedNetwork
    from mogabench.records import Record

_MOST_NAMED = 3


class Panel(NamedTuple):
    """One network's map of one image.

    Attributes:
        image: The file.
        network: What the figure calls the network.
        trained: The network.
        view: What the network sees of the image, ``(H, W, 3)`` in RGB, 0 to 1.
        layer: The layer's name.
        activation: Its map.
        class_name: The name of the map's class.
    """

    image: Path
    network: str
    trained: TrainedNetwork
    view: NDArray[np.float32]
    layer: str
    activation: Activation
    class_name: str


def figure(panels: Sequence[Sequence[Panel]], records: Sequence[Record]) -> Figure:
    """A row for each image: the image, then each network's view of it under its map.

    Args:
        panels: By image, then by network.
        records: Of the same, which tell this figure from others of the same labels.
    """
    files = [row[0].image for row in panels]
    names = ", ".join(file.name for file in files[:_MOST_NAMED])
    names += f" and {len(files) - _MOST_NAMED} more" * (len(files) > _MOST_NAMED)
    networks = dict.fromkeys(panel.network for panel in panels[0])
    classes = dict.fromkeys(panel.class_name for row in panels for panel in row)
    title = f"Figure 8's counterpart: Grad-CAM activation maps of {names}: {'; '.join(networks)}"
    words = [*(file.stem for file in files), *networks, *classes]
    name = figure_name("gradcam", words, map(identity, records))
    return Figure(name, _draw(panels, title), _as_csv(panels))


def _draw(panels: Sequence[Sequence[Panel]], title: str) -> dict[str, bytes]:
    from matplotlib.figure import Figure as Canvas

    rows, columns = len(panels), 1 + len(panels[0])
    canvas = Canvas(figsize=(2.6 * columns, 3.1 * rows + 0.5), layout="constrained", dpi=120)
    canvas.suptitle("\n".join(wrap(title, 30 * columns)), fontsize=10)
    axes = canvas.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for places, row in zip(axes, panels, strict=True):
        places[0].imshow(read_image(row[0].image))
        places[0].set_title(row[0].image.name, fontsize=8)
        for axis, panel in zip(places[1:], row, strict=True):
            _draw_panel(axis, panel)
    return pictures(canvas, title)


def _draw_panel(axis: Axes, panel: Panel) -> None:
    """A view with its heat over it, from 0 to the map's greatest."""
    found = panel.activation
    height, width = panel.view.shape[:2]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axis.imshow(panel.view, extent=extent)
    if not found.is_empty:
        axis.imshow(
            found.heat, extent=extent, vmin=0, cmap="turbo", alpha=0.5, interpolation="bilinear"
        )
    saw = f"{panel.class_name.split(',')[0]}: {found.probability:.1%}"
    nothing = ["no position speaks for it"] * found.is_empty
    lines = [line for text in (panel.network, saw, *nothing) for line in wrap(text, 30)]
    axis.set_title("\n".join(lines), fontsize=8)


def _as_csv(panels: Sequence[Sequence[Panel]]) -> str:
    """The maps as CSV, a line for each position, its heat as a part of the map's greatest."""
    rows = []
    for panel in (panel for row in panels for panel in row):
        found = panel.activation
        most = 1 if found.is_empty else found.heat.max()
        for row, values in enumerate(found.heat / most):
            for column, heat in enumerate(values):
                where = (panel.network, panel.image.name, panel.class_name)
                rows.append((*where, row, column, f"{heat:.6f}"))
    return csv_text(("network", "image", "class", "row", "column", "heat"), rows)

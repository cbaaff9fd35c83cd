"""Plots of the paper's figures from its printed accuracies and our measured costs."""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from mogabench.records import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mogabench.paper import PaperTable
    from mogabench.records import Record, Store
    from mogabench.tables.join import JoinedTable

FORMATS = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""The endings of a figure's files, each with the metadata that would differ from run to run."""

_SHAPES = "osD^"
_OURS = "MogaNet"


@dataclass(frozen=True)
class Point:
    """A model of a plot: its cost, its printed top-1 accuracy in %, and its name.

    ``runtime`` is what ran it in its fused form; where that is empty, PyTorch in its own.
    """

    cost: float
    accuracy: float
    name: str
    runtime: str = ""

    @property
    def family(self) -> str:
        """The name without its size, such as ``FocalNet`` for ``FocalNet-S (LRF)``."""
        return self.name.rpartition("-")[0] or self.name

    @property
    def size(self) -> str:
        """What is left of the name, such as ``S (LRF)``."""
        return self.name.removeprefix(self.family).removeprefix("-")


def parameter_points(table: JoinedTable) -> list[Point]:
    """Figure 1's points: measured parameters in M against printed top-1 at 224x224.

    SLaK's accuracies are those of networks with 40 % of the weights at zero, so it stands at the
    number of the others, as its errata derive it.
    """
    points = []
    for row in table.rows:
        by_metric = {cell.column.metric: cell for cell in row.cells}
        cost, accuracy = by_metric["params"], by_metric["top1"]
        at_224 = cost.subject is not None and cost.subject.input_size == (224, 224)
        if at_224 and cost.measured is not None and accuracy.paper is not None:
            size = cost.measured if cost.printed_for is None else cost.printed_for
            points.append(Point(size, accuracy.paper, row.row.label))
    return points


def throughput_points(
    tables: Sequence[PaperTable], store: Store, **setup: Any
) -> dict[str, list[Point]]:
    """Figure A3's points by device and CPU threads: img/s against printed top-1 at 224x224.

    A network has one in PyTorch, and one in the fastest of the other runtimes that it was timed in.
    One network alone makes no figure.

    Args:
        tables: Where the printed accuracies are; the first table that has a backbone counts.
        store: The throughput records; those of a busy machine are left out.
        **setup: Fields of the provenance the records must have, such as ``dtype``.
    """
    printed: dict[str, tuple[str, float]] = {}
    for table in tables:
        column = next(
            c for c in table.columns if c.metric == "top1" and "recipe" not in c.overrides
        )
        for row in table.rows:
            if row.meta.input_size == (224, 224) and row.meta.pretraining == "none":
                accuracy = float(row.cells[column.head])
                printed.setdefault(row.meta.backbone, (row.label, accuracy))
    newest: dict[tuple[str, str, str], Record] = {}
    for record in store.all(Kind.THROUGHPUT):
        subject, runtime = record.subject, record.provenance.runtime
        shown = subject.input_size == (224, 224) and subject.backbone in printed
        if shown and record.same_setup(busy=False, runtime=runtime, **setup):
            newest[_machine(record), subject.backbone, runtime or ""] = record
    best: dict[tuple[str, str, bool], Point] = {}
    for (machine, backbone, runtime), record in newest.items():
        label, accuracy = printed[backbone]
        point = Point(record.values["throughput"].value, accuracy, label, runtime)
        key = machine, backbone, bool(runtime)
        best[key] = max(point, best.get(key, point), key=lambda item: item.cost)
    points = defaultdict(list)
    for (machine, _, _), point in best.items():
        points[machine].append(point)
    return {
        machine: company
        for machine, company in points.items()
        if len({point.name for point in company}) > 1
    }


def _machine(record: Record) -> str:
    where = record.provenance
    on_cpu = where.driver is None
    return f"{where.device}, {where.threads} thread(s)" if on_cpu else where.device


def _draw_family(axes: Axes, family: str, members: Sequence[Point], shape: str) -> None:
    """Draws a line through the family in PyTorch, and a broken one in other runtimes."""
    ours = family == _OURS
    color: Any = "crimson" if ours else None
    label = family  # of the first line alone
    for in_runtime in (False, True):
        part = sorted(
            (point for point in members if bool(point.runtime) == in_runtime),
            key=lambda point: point.cost,
        )
        if not part:
            continue
        (line,) = axes.plot(
            [point.cost for point in part],
            [point.accuracy for point in part],
            marker=shape,
            markersize=12 if ours else 5,
            linewidth=2 if ours else 1,
            color=color,
            linestyle="--" if in_runtime else "-",
            fillstyle="none" if in_runtime else "full",
            label=label,
        )
        color, label = line.get_color(), ""


def scatter(points: Sequence[Point], *, title: str, cost: str) -> dict[str, bytes]:
    """Draws points as one line per family and runtime, MogaNet's on top, labels moved apart.

    Returns:
        The picture by the endings of `FORMATS`.
    """
    from adjustText import adjust_text
    from matplotlib.figure import Figure as NewFigure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = NewFigure(figsize=(9, 6.5), layout="constrained", dpi=120)
    axes = figure.subplots()
    families = defaultdict(list)
    for point in points:
        families[point.family].append(point)
    in_order = sorted(families.items(), key=lambda item: item[0] == _OURS)
    for number, (family, members) in enumerate(in_order):
        # matplotlib has ten colours; the next ten families get another shape.
        shape = "*" if family == _OURS else _SHAPES[number // 10 % len(_SHAPES)]
        _draw_family(axes, family, members, shape)
    runtimes = ", ".join(sorted({point.runtime for point in points} - {""}))
    if runtimes:
        axes.plot([], [], "o--", color="grey", fillstyle="none", label=f"in {runtimes},\nfused")
    axes.set(xlabel=cost, ylabel="ImageNet-1K top-1 (%), as printed", xscale="log")
    axes.set_title("\n".join(wrap(title, 80)))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())  # labels of 6 to 9 would lie on each other
    axes.grid(alpha=0.3, which="both")
    figure.legend(*axes.get_legend_handles_labels(), fontsize=8, loc="outside right upper")
    figure.draw_without_rendering()  # the labels need the axes in their place
    labels = [axes.text(p.cost, p.accuracy, p.size, fontsize=7) for p in points]
    adjust_text(
        labels,
        x=[point.cost for point in points],
        y=[point.accuracy for point in points],
        ax=axes,
        expand=(1.8, 2.2),  # else a label may lie on its own marker
        iter_lim=500,  # else it stops after a second, in another place on each machine
        arrowprops={"arrowstyle": "-", "color": "grey", "linewidth": 0.5},
    )
    return pictures(figure, title)


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

"""Plots of the paper's figures from its printed accuracies and our measured costs."""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mogabench.records import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.paper import PaperTable
    from mogabench.records import Record, Store
    from mogabench.tables.join import JoinedTable

_SHAPES = "osD^"
_OURS = "MogaNet"


@dataclass(frozen=True)
class Point:
    """A model of a plot: its cost, its printed top-1 accuracy in %, and its name."""

    cost: float
    accuracy: float
    name: str

    @property
    def family(self) -> str:
        """The name without its size, such as ``FocalNet`` for ``FocalNet-S (LRF)``."""
        return self.name.rpartition("-")[0] or self.name

    @property
    def size(self) -> str:
        """What is left of the name, such as ``S (LRF)``."""
        return self.name.removeprefix(self.family).removeprefix("-")


def parameter_points(table: JoinedTable) -> list[Point]:
    """Figure 1's points: measured parameters in M against printed top-1 at 224x224."""
    points = []
    for row in table.rows:
        by_metric = {cell.column.metric: cell for cell in row.cells}
        cost, accuracy = by_metric["params"], by_metric["top1"]
        at_224 = cost.subject is not None and cost.subject.input_size == (224, 224)
        if at_224 and cost.measured is not None and accuracy.paper is not None:
            points.append(Point(cost.measured, accuracy.paper, row.row.label))
    return points


def throughput_points(
    tables: Sequence[PaperTable], store: Store, **setup: Any
) -> dict[str, list[Point]]:
    """Figure A3's points by device and CPU threads: img/s against printed top-1 at 224x224.

    One network alone makes no figure.

    Args:
        tables: Where the printed accuracies are; the first table that has a backbone counts.
        store: The throughput records.
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
    newest = {}
    for record in store.all(Kind.THROUGHPUT):
        subject = record.subject
        shown = subject.input_size == (224, 224) and subject.backbone in printed
        if shown and record.same_setup(**setup):
            newest[_machine(record), subject.backbone] = record
    points = defaultdict(list)
    for (machine, backbone), record in newest.items():
        label, accuracy = printed[backbone]
        points[machine].append(Point(record.values["throughput"].value, accuracy, label))
    return {machine: company for machine, company in points.items() if len(company) > 1}


def _machine(record: Record) -> str:
    where = record.provenance
    on_cpu = where.driver is None
    return f"{where.device}, {where.threads} thread(s)" if on_cpu else where.device


def scatter(points: Sequence[Point], *, title: str, cost: str) -> bytes:
    """Draws points as one line per family, MogaNet's on top; returns a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout="constrained", dpi=120)
    axes = figure.subplots()
    families = defaultdict(list)
    for point in points:
        families[point.family].append(point)
    in_order = sorted(families.items(), key=lambda item: item[0] == _OURS)
    for number, (family, members) in enumerate(in_order):
        members.sort(key=lambda point: point.cost)
        ours = family == _OURS
        axes.plot(
            [point.cost for point in members],
            [point.accuracy for point in members],
            # matplotlib has ten colours; the next ten families get another shape.
            marker="*" if ours else _SHAPES[number // 10 % len(_SHAPES)],
            markersize=12 if ours else 5,
            linewidth=2 if ours else 1,
            color="crimson" if ours else None,
            label=family,
        )
        for point in members:
            axes.annotate(
                point.size,
                (point.cost, point.accuracy),
                xytext=(5, -10),
                textcoords="offset points",
                fontsize=7,
            )
    axes.set(title=title, xlabel=cost, ylabel="ImageNet-1K top-1 (%), as printed", xscale="log")
    for axis_formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        axis_formatter("{x:g}")
    axes.tick_params(axis="x", which="both", labelsize=8)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8, ncols=2)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()

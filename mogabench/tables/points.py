"""The points of a paper's plots: its printed accuracies against our measured costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mogabench.files import slug
from mogabench.paper import cell_subject, paper_figures, printed_value
from mogabench.tables.timed import timings_by_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mogabench.paper import Column, PaperFigure, PaperTable
    from mogabench.records import Record, Store
    from mogabench.tables.cells import Cell
    from mogabench.tables.join import JoinedTable

    Size = tuple[int, ...]

_LARGEST_AREA = 320.0
_USUAL_UNITS = {"params": "M", "operations": "G", "activations": "M"}


@dataclass(frozen=True)
class Point:
    """A model of a plot.

    Attributes:
        cost: What it takes, as the plot's axis says.
        accuracy: Its printed top-1 accuracy in %.
        name: Its printed name.
        runtime: What ran it in its fused form; where that is empty, PyTorch in its own.
        table: The table that its accuracy is printed in.
        row: The index of its row there.
        column: The head of the cell that the cost is measured for; empty for a throughput.
        operations: Its multiply-accumulates in G; None where the plot does not show them.
        record: The record of its throughput; None where its cost is a cell's.
    """

    cost: float
    accuracy: float
    name: str
    runtime: str = ""
    table: str = ""
    row: int = 0
    column: str = ""
    operations: float | None = None
    record: Record | None = None

    @property
    def family(self) -> str:
        """The name without its size, such as ``FocalNet`` for ``FocalNet-S (LRF)``."""
        return self.name.rpartition("-")[0] or self.name

    @property
    def size(self) -> str:
        """What is left of the name, such as ``S (LRF)``."""
        return self.name.removeprefix(self.family).removeprefix("-")


@dataclass(frozen=True)
class Scatter:
    """A plot of accuracies against costs.

    One of throughputs that shows a front has each network once, in its fastest runtime.

    Attributes:
        name: Of its files, without ending.
        title: What it shows.
        cost: What the horizontal axis says.
        unit: The unit of the costs.
        points: The models.
        ours: The family that stands out: the paper's own.
        front: Its Pareto front, from the least accurate; empty where
            the plot does not show them.
        best: ``min`` where the lower cost is the better one, ``max`` where the higher is, as of
            speeds.
    """

    name: str
    title: str
    cost: str
    unit: str
    points: list[Point]
    ours: str = ""
    front: Sequence[Point] = ()
    best: Callable[[float, float], float] = min

    def area(self, point: Point) -> float:
        """The area of a point's mark, by its operations, in square points; 0 without."""
        if not point.operations:
            return 0.0
        return _LARGEST_AREA * point.operations / max(p.operations or 0 for p in self.points)


def scatters(tables: Sequence[JoinedTable], store: Store) -> list[Scatter]:
    """The paper's plots: those of throughputs for each device and number format with records.

    Args:
        tables: The joined tables of a paper, of which a plot shows those that its
            ``figures.yaml`` says.
        store: The throughput records.
    """
    found = cost_scatters(tables)
    for id_, figure in _figures(tables).items():
        if figure.column:
            continue
        printed = [table.paper for table in _shown(figure, tables)]
        for dtype in ("float32", "bfloat16"):
            by_device = throughput_points(printed, store, figure.shows, dtype=dtype, compiled=False)
            for device, points in by_device.items():
                if figure.front and len({point.family for point in points}) < 2:
                    continue  # of one family alone a front would say nothing
                title = f"{figure.title}, {device}, {dtype}"
                name = f"figure_{id_}_{slug(device)}_{dtype}"
                cost = "images per second, measured"
                shown = fastest(points) if figure.front else points
                front = front_of(shown, best=max) if figure.front else []
                found.append(Scatter(name, title, cost, "img/s", shown, _ours(tables), front, max))
    return found


def fastest(points: Sequence[Point]) -> list[Point]:
    """Each network in the runtime that is the fastest for it."""
    best: dict[tuple[str, int], Point] = {}
    for point in points:
        row = point.table, point.row  # not its name, which is one at several input sizes
        best[row] = max(point, best.get(row, point), key=lambda p: p.cost)
    return list(best.values())


def cost_scatters(tables: Sequence[JoinedTable]) -> list[Scatter]:
    """The paper's plots of counted costs, where their tables are among these and measured."""
    found = []
    for id_, figure in _figures(tables).items():
        shown = _shown(figure, tables) if figure.column else []
        points = [point for table in shown for point in cost_points(table, figure)]
        if points:
            column = next(c for c in shown[0].paper.columns if c.head == figure.column)
            name, unit = f"figure_{id_}_{figure.name}", _unit(column)
            best = max if column.metric == "fps" else min
            front = front_of(points, best=best) if figure.front else []
            found.append(
                Scatter(name, figure.title, figure.cost, unit, points, _ours(tables), front, best)
            )
    return found


def _figures(tables: Sequence[JoinedTable]) -> dict[str, PaperFigure]:
    return paper_figures(tables[0].paper.paper) if tables else {}


def _shown(figure: PaperFigure, tables: Sequence[JoinedTable]) -> list[JoinedTable]:
    """The tables of a figure, in its order."""
    by_id = {table.paper.id: table for table in tables}
    return [by_id[name] for name in figure.tables if name in by_id]


def _ours(tables: Sequence[JoinedTable]) -> str:
    """The family that stands out."""
    about = tables[0].paper.paper.about
    return about.family or about.name


def front_of(points: Sequence[Point], *, best: Callable[[float, float], float]) -> list[Point]:
    """The Pareto front: the points that no other beats in both, from the least accurate.

    Args:
        points: Of a plot.
        best: ``min`` where the lower cost is the better one, ``max`` where the higher is.
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (-p.accuracy, -best(1, -1) * p.cost)):
        if not front or best(point.cost, front[-1].cost) != front[-1].cost:
            front.append(point)
    return front[::-1]


def cost_points(table: JoinedTable, figure: PaperFigure) -> list[Point]:
    """A figure's points: what its column measures against printed top-1.

    SLaK's accuracies are those of networks with 40 % of the weights at zero, so it stands at the
    number of the others, as its errata derive it. What is 0 or less has no place on the axis.

    Returns:
        The points; none where a column of the figure was not selected.
    """
    points = []
    for row in table.rows:
        cells = {cell.column.head: cell for cell in row.cells}
        metrics = {cell.column.metric: cell for cell in reversed(row.cells)}  # the first of each
        cost, accuracy = cells.get(figure.column), metrics.get("top1")
        if cost is None or accuracy is None:
            return []
        shown = figure.shows(row.row.meta.input_size)
        size = cost.measured if cost.plotted is None else cost.plotted
        if shown and size is not None and size > 0 and accuracy.paper is not None:
            is_count = cost.column.metric == "operations"  # then the axis shows them
            operations = None if is_count else metrics.get("operations")
            point = Point(
                cost.in_unit(size, _unit(cost.column)),
                accuracy.paper,
                row.row.label,
                table=table.paper.id,
                row=row.row.index,
                column=cost.column.head,
                operations=_giga(operations),
            )
            points.append(point)
    return points


def _unit(column: Column) -> str:
    """The unit of a plot's axis: the column's, or the usual one where the cells carry theirs."""
    return column.unit or _USUAL_UNITS.get(column.metric or "", "")


def _giga(cell: Cell | None) -> float | None:
    if cell is None or cell.measured is None:
        return None
    return cell.in_unit(cell.measured, "G")


def throughput_points(
    tables: Sequence[PaperTable], store: Store, shows: Callable[[Size], bool], **setup: Any
) -> dict[str, list[Point]]:
    """A figure's points in img/s and printed top-1, by what they were timed on.

    A network has one in PyTorch, and one in the fastest of the other runtimes that it was timed in.
    Of several timings `timings_by_machine` chooses. One network alone makes no figure.

    Args:
        tables: Where the printed accuracies are; the first table that has a network counts.
        store: The throughput records.
        shows: Which input sizes the figure shows.
        **setup: Fields of the provenance the records must have, such as ``dtype``.
    """
    printed: dict[str, Point] = {}
    for table in tables:
        accuracies = [column for column in table.columns if column.metric == "top1"]
        column = min(accuracies, key=lambda c: "recipe" in c.overrides)  # of the rows' own first
        for row in table.rows:
            subject, accuracy = cell_subject(row, column), printed_value(row.cells[column.head])
            if subject is None or accuracy is None or row.meta.pretraining not in ("", "none"):
                continue
            if shows(subject.input_size):
                point = Point(0.0, accuracy, row.label, table=table.id, row=row.index)
                printed.setdefault(subject.key, point)
    by_machine = {
        machine: _fastest_runtimes(printed, records)
        for machine, records in timings_by_machine(printed, store, **setup).items()
    }
    return {
        machine: points
        for machine, points in by_machine.items()
        if len({point.name for point in points}) > 1
    }


def _fastest_runtimes(printed: Mapping[str, Point], records: Iterable[Record]) -> list[Point]:
    """Each network's point in PyTorch, and that in the fastest of the other runtimes."""
    best: dict[tuple[str, bool], Point] = {}
    for record in records:
        network, runtime = record.subject.key, record.provenance.runtime or ""
        rate = record.values["throughput"].value
        point = replace(printed[network], cost=rate, runtime=runtime, record=record)
        place = network, bool(runtime)
        best[place] = max(point, best.get(place, point), key=lambda item: item.cost)
    return list(best.values())

"""The plots of the page, from the tables' cells and the trainings' curves."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import TYPE_CHECKING

from mogabench.tables.grid import figure, percent
from mogabench.tables.page.chart import Chart, Key, Mark, linear_axis, log_axis
from mogabench.tables.page.groups import GROUPS, group_of
from mogabench.tables.page.sections import anchor_of
from mogabench.tables.page.trainings import anchor_of_training
from mogabench.tables.standing import standing_text
from mogabench.tables.text import throughput_line
from mogabench.tables.trainings import CURVE, folder_of, quality_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mogabench.records import Record
    from mogabench.tables.cells import Cell
    from mogabench.tables.join import JoinedRow, JoinedTable
    from mogabench.tables.page.details import Details
    from mogabench.tables.points import Point, Scatter

_SHAPES = ("circle", "square", "diamond", "triangle")
_COLOURS = 6
_COMPARED = ("reproduced", "differs", "unexplained")
_RATIO_TICKS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0)
_LABELLED_FROM = 0.1
"""The relative difference from which on a cell has a label."""
_CURVE_POINTS = 100


def scatter_charts(scatters: Sequence[Scatter], details: Details) -> list[Chart]:
    """Accuracies against costs, a line for each family; the paper's own has labels."""
    return [_scatter(scatter, details) for scatter in scatters]


def _scatter(scatter: Scatter, details: Details) -> Chart:
    families: defaultdict[tuple[str, bool], list[Mark]] = defaultdict(list)
    marks_of: dict[int, Mark] = {}
    largest = max((point.operations or 0 for point in scatter.points), default=0)
    names = dict.fromkeys(point.family for point in scatter.points)
    others = [name for name in names if name != scatter.ours]
    styles = {
        name: (f"c{number % _COLOURS}", _SHAPES[number // _COLOURS % len(_SHAPES)])
        for number, name in enumerate(others)
    } | {scatter.ours: ("ours", "circle")}
    for point in scatter.points:
        mark = _point_mark(point, scatter, styles[point.family], largest, details)
        families[point.family, mark.is_hollow].append(mark)
        marks_of[id(point)] = mark
    lines = [sorted(members, key=lambda mark: mark.x) for members in families.values()]
    marks = [mark for line in lines for mark in line]
    legend = [Key(name, *styles[name]) for name in (scatter.ours, *others) if name in names] + [
        Key(f"in {runtime}, fused", "c0", is_hollow=True)
        for runtime in sorted({point.runtime for point in scatter.points} - {""})
    ]
    return Chart(
        scatter.name,
        scatter.title,
        " ".join(
            ["The area of a point is its operations."] * bool(largest)
            + ["The broad line is the Pareto front."] * bool(scatter.front)
            + [standing_text(scatter)]
        ).strip(),
        log_axis(scatter.cost, [mark.x for mark in marks]),
        linear_axis("ImageNet-1K top-1 (%), as printed", [mark.y for mark in marks]),
        sorted(marks, key=lambda mark: (-mark.radius, mark.style == "ours")),
        lines=lines,
        legend=legend,
        front=[marks_of[id(point)] for point in scatter.front],
    )


def _point_mark(
    point: Point, scatter: Scatter, style: tuple[str, str], largest: float, details: Details
) -> Mark:
    colour, shape = style
    runtime = f" in {point.runtime}, fused" if point.runtime else ""
    text = f"{point.name}{runtime}: {point.accuracy:g} %, {point.cost:.4g} {scatter.unit}"
    if point.operations:
        text += f", {point.operations:.3g} G"
    return Mark(
        point.cost,
        point.accuracy,
        anchor_of(point.table, point.row),
        text,
        colour,
        shape,
        radius=14 * math.sqrt(point.operations / largest) + 2 if point.operations else 5,
        label=point.size if colour == "ours" else "",
        is_hollow=bool(point.runtime),
        detail=_detail_of(point, details),
    )


def _detail_of(point: Point, details: Details) -> int | None:
    """What is known of a point: its record of a throughput, or its cell."""
    anchor = anchor_of(point.table, point.row)
    if point.record is None:
        return details.of(anchor, point.column)
    pairs = [
        ("cell", f"{point.name}, Table {point.table}, throughput"),
        ("measured", throughput_line(point.record)),
        *(("note", note) for note in point.record.notes),
        ("record", point.record.id),
        ("made by", point.record.provenance.command),
    ]
    return details.add(anchor, f"record {point.record.id}", pairs)


def ratio_charts(tables: Sequence[JoinedTable], details: Details) -> list[Chart]:
    """Measured against printed, for parameters and for operations; what is far off has a label.

    A figure of another sign than the printed one, or 0, has no place on the axis of ratios.
    """
    charts = []
    for metric, name, unit in (("params", "Parameters", "M"), ("operations", "Operations", "G")):
        found = [
            (table, row, cell)
            for table in tables
            for row in table.rows
            for cell in row.cells
            if cell.column.metric == metric and group_of(cell) in _COMPARED
            if cell.difference is not None and cell.difference > -1
        ]
        if found:
            charts.append(_ratios(f"{name.lower()}_ratio", name, unit, found, details))
    return charts


def _ratios(
    chart_id: str,
    name: str,
    unit: str,
    found: Sequence[tuple[JoinedTable, JoinedRow, Cell]],
    details: Details,
) -> Chart:
    marks = [_ratio_mark(*item, unit, details) for item in found]
    return Chart(
        chart_id,
        f"{name}: measured ÷ printed",
        f"Each point is a cell; what is off by {_LABELLED_FROM:.0%} or more has a name.",
        log_axis(f"printed ({unit})", [mark.x for mark in marks]),
        log_axis("measured ÷ printed", [mark.y for mark in marks], room=1.05, among=_RATIO_TICKS),
        sorted(marks, key=lambda mark: _COMPARED.index(mark.style)),
        legend=[
            Key(group.name, group.key, _SHAPES[_COMPARED.index(group.key)])
            for group in GROUPS
            if group.key in {mark.style for mark in marks}
        ],
        level=1.0,
    )


def _ratio_mark(
    table: JoinedTable, row: JoinedRow, cell: Cell, unit: str, details: Details
) -> Mark:
    assert cell.paper is not None and cell.measured is not None  # a compared cell has both
    group, anchor = group_of(cell), anchor_of(table.paper.id, row.row.index)
    is_far = abs(cell.measured / cell.paper - 1) >= _LABELLED_FROM and group != "reproduced"
    measured, change = figure(cell.measured, cell.like), percent(cell.difference)
    if not measured.endswith(cell.unit):  # else the printed figure states its unit
        measured += f" {cell.unit}"
    return Mark(
        cell.in_unit(abs(cell.paper), unit),
        cell.measured / cell.paper,
        anchor,
        f"{row.row.label}, Table {table.paper.id}: printed {cell.printed}, "
        f"measured {measured} ({change})",
        group,
        _SHAPES[_COMPARED.index(group)],
        radius=3 if group == "reproduced" else 4,
        label=row.row.label if is_far else "",
        detail=details.of(anchor, cell.column.head),
    )


def curve_charts(trainings: Sequence[Record], results: Path) -> list[Chart]:
    """The loss of each training whose curve is in the results."""
    charts = []
    for record in trainings:
        file = results / folder_of(record) / CURVE
        if record.provenance.weights and file.exists():
            charts.append(_curve(record, file))
    return charts


def _curve(record: Record, file: Path) -> Chart:
    points = [json.loads(line) for line in file.read_text().splitlines()]
    losses = [(point["step"], point["loss"]) for point in points if "loss" in point]
    every = math.ceil(len(losses) / _CURVE_POINTS)
    means = [losses[start : start + every] for start in range(0, len(losses), every)]
    subject, anchor = record.subject, anchor_of_training(record)
    marks = [
        Mark(part[-1][0], sum(loss for _, loss in part) / len(part), anchor, "", "ours")
        for part in means
    ]
    values = [mark.y for mark in marks]
    axis = log_axis if min(values) > 0 else linear_axis  # a loss of one's own may be a likelihood
    last = Mark(marks[-1].x, marks[-1].y, anchor, quality_text(record), "ours")
    return Chart(
        f"curve_{record.id}",
        f"{subject.task}: {subject.backbone}, {record.provenance.recipe}",
        quality_text(record),
        linear_axis("loss, by steps", [0, marks[-1].x], ticks=4),
        axis("", values),
        [last],
        lines=[marks],
    )

"""The tables as the template shows them: heads in levels, and a field for each figure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from mogabench.paper import SCALE, read_number
from mogabench.tables.explain import explain
from mogabench.tables.grid import NEAR, figure, percent, to_grid
from mogabench.tables.layout import CHANGE, MEASURED, kinds, split_head, timed_on
from mogabench.tables.page.groups import GROUPS, group_of
from mogabench.tables.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mogabench.paper import Column
    from mogabench.tables.cells import Cell
    from mogabench.tables.join import JoinedRow, JoinedTable
    from mogabench.tables.page.details import Details

_MARKS = {group.key: group.mark for group in GROUPS} | {"reproduced": ""}


@dataclass(frozen=True)
class Head:
    """A head; ``place`` is that of the field that it sorts by, None above several fields.

    ``is_minor`` is of what a narrow screen leaves out, ``on`` where the figures were timed.
    """

    text: str
    columns: int = 1
    rows: int = 1
    place: int | None = None
    numeric: bool = True
    is_minor: bool = False
    on: str = ""


@dataclass(frozen=True)
class Field:
    """What one field of a row shows.

    Attributes:
        text: The text.
        numeric: Whether it aligns to the right.
        group: The key of its cell's group; empty for a text that is no figure.
        mark: What stands behind the text.
        is_measured: Whether it shows what was measured, and not the print.
        is_label: Whether it names the row.
        is_minor: Whether a narrow screen leaves it out.
        detail: The number of its cell's list in the page's details.
        value: What it is sorted by, in ones; empty for the number that its text begins with.
    """

    text: str
    numeric: bool
    group: str = ""
    mark: str = ""
    is_measured: bool = False
    is_label: bool = False
    is_minor: bool = False
    detail: int | None = None
    value: str = ""


@dataclass(frozen=True)
class Line:
    """A row with its name in the page; ``kind`` is ``added`` (a user's) or ``ours`` (MogaNet's)."""

    anchor: str
    fields: list[Field]
    kind: str


@dataclass(frozen=True)
class Section:
    """A table of the page."""

    id: str
    title: str
    heads: list[list[Head]]
    lines: list[Line]
    notes: list[str]


def anchor_of(table_id: str, row: int) -> str:
    """The name of a row in the page."""
    return f"t{table_id}-{row}"


def sections(tables: Sequence[JoinedTable], details: Details) -> list[Section]:
    """Lays the tables out, and adds what is known of their cells to the details."""
    return [_section(table, details) for table in tables]


def _section(table: JoinedTable, details: Details) -> Section:
    columns = table.paper.columns
    shown = [kinds(table, number) for number in range(len(columns))]
    return Section(
        table.paper.id,
        table.paper.title,
        _heads(columns, shown, [timed_on(table, number) for number in range(len(columns))]),
        [_line(table, row, shown, details) for row in table.rows],
        to_grid(table).summary.split("\n"),
    )


def _heads(
    columns: Sequence[Column], shown: Sequence[list[str]], on: Sequence[str]
) -> list[list[Head]]:
    """The heads from the outermost level inwards; a level that no column needs is left out."""
    split = [split_head(column.head) for column in columns]
    has_groups = any(group for group, _ in split)
    has_kinds = any(len(kind) > 1 for kind in shown)
    outer: list[Head] = []
    middle: list[Head] = []
    inner: list[Head] = []
    place = 0
    for group, members in groupby(range(len(columns)), key=lambda number: split[number][0]):
        inside = list(members)
        if group and any(shown[number] for number in inside):
            outer.append(Head(group, columns=sum(len(shown[number]) for number in inside)))
        for number in filter(lambda number: shown[number], inside):
            single = len(shown[number]) == 1
            head = Head(
                split[number][1],
                columns=len(shown[number]),
                rows=1 + (has_groups and not group) + (has_kinds and single),
                place=place if single else None,
                numeric=columns[number].metric is not None,
                is_minor=columns[number].is_minor,
                on=on[number] if single else "",
            )
            (middle if group or not has_groups else outer).append(head)
            if not single:
                inner += [
                    Head(text, place=place + n, on=on[number] if text == MEASURED else "")
                    for n, text in enumerate(shown[number])
                ]
            place += len(shown[number])
    return [level for level in (outer, middle, inner) if level]


def _line(table: JoinedTable, row: JoinedRow, shown: Sequence[list[str]], details: Details) -> Line:
    anchor = anchor_of(table.paper.id, row.row.index)
    label = table.paper.label_place
    fields: list[Field] = []
    for number, (cell, kinds_of_cell) in enumerate(zip(row.cells, shown, strict=True)):
        detail = None
        if cell.status is not None or cell.measured is not None or cell.erratum:
            detail = details.add(anchor, cell.column.head, explain(table, row, cell))
        text = row.row.label if row.added and number == label else cell.printed
        is_figure = cell.column.metric is not None
        if not cell.column.is_printed:
            fields += _measured(cell, kinds_of_cell, detail)
            continue
        fields += [
            Field(text, is_figure, "" if len(kinds_of_cell) > 1 else group_of(cell),
                  "*" if cell.erratum and not is_figure else "",
                  is_label=number == label, is_minor=cell.column.is_minor, detail=detail,
                  value=_in_ones(cell.paper, _printed_unit(cell)) if is_figure else ""),
            *_measured(cell, kinds_of_cell[1:], detail),
        ]  # fmt: skip
    is_ours = table.paper.paper.owns(row.row.meta.backbone)
    return Line(anchor, fields, "added" if row.added else "ours" * is_ours)


def _measured(cell: Cell, shown: Sequence[str], detail: int | None) -> Iterator[Field]:
    """The fields behind the print: what was measured and, of costs, how far off that is."""
    group = group_of(cell)
    near = cell.status in (Status.WITHIN_TOLERANCE, Status.WITHIN_NOISE)
    mark, value = NEAR if near else _MARKS.get(group, ""), _in_ones(cell.measured, cell.unit)
    texts = {
        MEASURED: (figure(cell.measured, cell.like), mark, value),
        CHANGE: (percent(cell.difference), "", ""),
    }
    for kind in shown:
        text, mark, value = texts[kind]
        text, sign = text.replace("-", "−"), mark if cell.measured is not None else ""
        yield Field(text, True, group, sign, is_measured=True, detail=detail, value=value)


def _printed_unit(cell: Cell) -> str:
    """The unit of a printed number, also of a row without a network."""
    number = read_number(cell.printed)
    return (number.unit if number else "") or cell.column.unit or ""


def _in_ones(number: float | None, unit: str) -> str:
    """A number of a unit such as M; empty without one."""
    return "" if number is None or unit not in SCALE else f"{number * SCALE[unit]:.9g}"

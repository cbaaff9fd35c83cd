"""One cell of a table in full: what was printed, what was measured, and what lies between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.errors import unknown
from mogabench.paper import CONVENTIONS, cell_meta, counting_source, places_of
from mogabench.tables.grid import percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mogabench.records import Record
    from mogabench.tables.cells import Cell
    from mogabench.tables.join import JoinedRow, JoinedTable


def find_rows(joined: JoinedTable, name: str) -> list[JoinedRow]:
    """The rows with a label; ``label #2`` is the second row so called.

    Raises:
        UserError: No row has it.
    """
    labels = [row.row.label for row in joined.rows]
    found = [joined.rows[place] for place in places_of(name, labels)]
    if not found:
        raise unknown(f"row of Table {joined.paper.id}", name, labels)
    return found


def find_cells(row: JoinedRow, head: str | None) -> list[Cell]:
    """The cells of a row that hold a figure, or the one below a head.

    Raises:
        UserError: The table has no such column.
    """
    if head is None:
        return [cell for cell in row.cells if cell.status is not None]
    cells = {cell.column.head: cell for cell in row.cells}
    if head not in cells:
        raise unknown("column", head, cells)
    return [cells[head]]


def explain(joined: JoinedTable, row: JoinedRow, cell: Cell) -> list[tuple[str, str]]:
    """What there is to say of a cell, each with its heading, in reading order."""
    about = [
        ("cell", f"Table {joined.paper.id}, {row.row.label}, {cell.column.head}"),
        ("printed", f"{cell.printed} {cell.unit}".rstrip()),
        ("measured", _measured(cell)),
        ("subject", cell.subject.key if cell.subject else ""),
        *_counted(row, cell),
        ("reason", cell.erratum),
        ("which gives", cell.account),
        ("note", cell.caveat),
        *(("made by", text) for text in map(_made_by, cell.records)),
        ("to measure", cell.command or ""),
    ]
    return [(heading, text) for heading, text in about if text]


def _measured(cell: Cell) -> str:
    if cell.measured is None:
        return "no"
    change = percent(cell.difference)
    status = "" if cell.status is None else f": {cell.status.replace('_', ' ')}"
    return f"{cell.measured:.6g} {cell.unit}".rstrip() + (f" ({change})" if change else "") + status


def _counted(row: JoinedRow, cell: Cell) -> Iterator[tuple[str, str]]:
    """The operations by each convention, and why the row has the one it has."""
    for name, value in cell.counts.items():
        mark = ", as here" if name == cell.convention else ""
        yield f"by {name}", f"{value:.6g} {cell.unit} ({CONVENTIONS[name]}{mark})"
    if cell.convention and cell.printed:
        source = counting_source(cell_meta(row.row, cell.column))
        yield "counted by", f"{source.source}: {source.tool}"
        yield "evidence", source.evidence


def _made_by(record: Record) -> str:
    where = record.provenance
    versions = ", ".join(f"{name} {version}" for name, version in where.packages.items())
    commit = "" if where.commit is None else f" at {where.commit[:8]}"
    changed = " with uncommitted changes" if where.dirty else ""
    return (
        f"{where.command}{commit}{changed}, {where.started:%Y-%m-%d}, on {where.device}; {versions}"
    )

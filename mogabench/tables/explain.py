"""One cell of a table in full: what was printed, what was measured, and what lies between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.errors import UserError, unknown
from mogabench.paper import CONVENTIONS, cell_meta, places_of, read_number
from mogabench.tables.grid import percent
from mogabench.tables.measurable import obstacle
from mogabench.tables.text import made_by
from mogabench.tables.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        raise unknown(f"row of {joined.paper.name}", name, labels)
    return found


def find_cells(row: JoinedRow, head: str | None) -> list[Cell]:
    """The cells of a row that hold a figure, or the one below a head.

    Args:
        row: The row.
        head: A head, or the beginning of only one, such as ``FLOPs``; the name of its group, as in
            ``Mask R-CNN 1×: AP^b``, may be left out. None for all figures.

    Raises:
        UserError: The table has no such column, or several that begin so.
    """
    if head is None:
        return [c for c in row.cells if c.status is not None or c.measured is not None]
    cells = {cell.column.head: cell for cell in row.cells}
    given = head.casefold()
    names = {name: {name.casefold(), name.rpartition(": ")[2].casefold()} for name in cells}
    begun = [name for name, ways in names.items() if given in ways] or [
        name for name, ways in names.items() if any(way.startswith(given) for way in ways)
    ]
    if not begun:
        raise unknown("column", head, cells)
    if len(begun) > 1:
        raise UserError(f"'{head}' fits several columns: {', '.join(begun)}")
    return [cells[begun[0]]]


def explain(joined: JoinedTable, row: JoinedRow, cell: Cell) -> list[tuple[str, str]]:
    """What there is to say of a cell, each with its heading, in reading order."""
    about = [
        ("cell", f"{joined.paper.name}, {row.row.label}, {cell.column.head}"),
        ("printed", _printed(cell) if cell.printed else ""),
        ("measured", _measured(cell)),
        ("subject", cell.subject.key if cell.subject else ""),
        *_counted(joined, row, cell),
        ("reason", cell.erratum),
        ("tried" if cell.status == Status.UNEXPLAINED else "derived", cell.account),
        ("note", cell.caveat),
        *zip(("made by", "baseline by"), map(made_by, cell.records), strict=False),
        ("to measure", cell.command or ""),
        ("no command", obstacle(joined.paper, row.row, cell.column)),
    ]
    return [(heading, text) for heading, text in about if text]


def _printed(cell: Cell) -> str:
    number = read_number(cell.printed)
    has_unit = number is not None and number.unit
    return cell.printed if has_unit else f"{cell.printed} {cell.unit}".rstrip()


def _measured(cell: Cell) -> str:
    if cell.measured is None:
        return "no"
    change = percent(cell.difference)
    status = "" if cell.status is None else f": {cell.status.replace('_', ' ')}"
    return f"{cell.measured:.6g} {cell.unit}".rstrip() + (f" ({change})" if change else "") + status


def _counted(joined: JoinedTable, row: JoinedRow, cell: Cell) -> Iterator[tuple[str, str]]:
    """The operations by each convention, and why the row has the one it has."""
    for name, value in cell.counts.items():
        mark = ", as here" if name == cell.convention else ""
        yield f"by {name}", f"{value:.6g} {cell.unit} ({CONVENTIONS[name]}{mark})"
    if cell.counted_by and cell.printed:
        source = joined.paper.paper.counting_source(cell_meta(row.row, cell.column))
        assert source is not None  # as of every cell with a convention
        yield "counted by", f"{source.source}: {source.tool}"
        yield "evidence", source.evidence

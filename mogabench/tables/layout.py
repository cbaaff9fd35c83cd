"""What the forms of a joined table share: its columns, their heads, the letters of footnotes."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING

from mogabench.paper import TIMED
from mogabench.tables.measurable import COSTS

if TYPE_CHECKING:
    from mogabench.paper import Column
    from mogabench.tables.join import JoinedTable

PRINTED, MEASURED, CHANGE = "printed", "measured", "Δ"
"""What stands side by side below a head."""


def kinds_of(column: Column) -> list[str]:
    """What a column shows where something is measured; of costs also how far that is off."""
    if column.metric is None:
        return [PRINTED]
    shown = [PRINTED, MEASURED, *[CHANGE] * (column.metric in COSTS)]
    return shown if column.is_printed else [MEASURED]


def kinds(table: JoinedTable, number: int) -> list[str]:
    """What a column shows: where nothing is measured its print alone, or nothing without one."""
    found = kinds_of(table.paper.columns[number])
    is_measured = any(row.cells[number].measured is not None for row in table.rows)
    return found if is_measured else [kind for kind in found if kind == PRINTED]


def timed_on(table: JoinedTable, number: int) -> str:
    """The machine of a column's timings, such as `` on NVIDIA H200``; empty without timings."""
    records = (record for row in table.rows for record in row.cells[number].records)
    found = next(records, None)
    if table.paper.columns[number].metric not in TIMED or found is None:
        return ""
    return f" on {found.provenance.machine}"


def split_head(head: str) -> tuple[str, str]:
    """The group of a head, empty for none, and the head below it."""
    group, _, name = head.rpartition(": ")
    return group, name


def letter(number: int) -> str:
    """The letter of a footnote from 1: ``a`` to ``z``, then ``aa``; a digit would look printed."""
    rest, last = divmod(number - 1, len(ascii_lowercase))
    return (letter(rest) if rest else "") + ascii_lowercase[last]

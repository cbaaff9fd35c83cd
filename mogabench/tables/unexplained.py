"""The cells that nothing explains, each with what is known of it and what was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.escaping import markdown_field
from mogabench.tables.grid import figure, percent
from mogabench.tables.verdict import DIFFERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mogabench.tables.join import JoinedTable

_HEAD = """\
# Unexplained

Measured figures that neither agree with the printed one nor differ from it for a reason that
accounts for the number. What was tried stands behind each, with what it comes to.
"""
_TABLE_HEAD = """
| table | row | figure | printed | measured | Δ | what is known | tried |
| --- | --- | --- | ---: | ---: | ---: | --- | --- |"""


def render_unexplained(tables: Sequence[JoinedTable]) -> str:
    """A page of Markdown with a line for each unexplained cell."""
    lines = [line for table in tables for line in _lines(table)]
    return _HEAD + ("\n".join([_TABLE_HEAD, *lines]) if lines else "\nThere are none.")


def _lines(table: JoinedTable) -> Iterator[str]:
    for row in table.rows:
        for cell in row.cells:
            if cell.status in DIFFERS:
                fields = (
                    *(table.paper.id, row.row.label, cell.column.head, cell.printed),
                    figure(cell.measured, cell.like),
                    percent(cell.difference),
                    *(cell.erratum, cell.account),
                )
                yield "| " + " | ".join(map(markdown_field, fields)) + " |"

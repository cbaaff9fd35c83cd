"""Where in the paper one network's figures appear, with what was measured beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mogabench.paper import load_table, table_ids
from mogabench.tables.grid import MISSING, figure
from mogabench.tables.join import Status, join

if TYPE_CHECKING:
    from mogabench.records import Store
    from mogabench.subject import Subject
    from mogabench.tables.join import Cell

_STYLES = {Status.MATCH: "green", Status.DIFFERS: "yellow", Status.UNEXPLAINED: "bold red"}


@dataclass(frozen=True)
class Appearance:
    """A cell of the paper about the subject: ``Table 3, MogaNet-B``."""

    where: str
    cell: Cell

    def entry(self) -> dict[str, Any]:
        """The appearance as plain data."""
        cell = self.cell
        return {
            "where": self.where,
            "column": cell.column.head,
            "paper": cell.paper,
            "measured": cell.measured,
            "unit": cell.unit,
            "status": cell.status,
            "convention": cell.convention,
            "command": cell.command,
            "erratum": cell.erratum,
            "caveat": cell.caveat,
        }


def appearances(subject: Subject, store: Store) -> list[Appearance]:
    """Every printed figure of exactly this subject, in the paper's order."""
    found = []
    for table in map(load_table, table_ids()):
        if not any(row.meta.backbone == subject.backbone for row in table.rows):
            continue
        for row in join(table, store).rows:
            where = f"Table {table.id}, {row.row.label}"
            found += [
                Appearance(where, cell)
                for cell in row.cells
                if cell.status is not None and cell.subject == subject
            ]
    return found


def print_appearances(found: list[Appearance]) -> None:
    """Prints figure, place, printed, measured and Δ, a line per appearance."""
    from rich import box, print
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "where", box=box.SIMPLE_HEAD)
    for head in ("printed", "measured", "Δ"):
        table.add_column(head, justify="right", no_wrap=True)
    for item in sorted(found, key=lambda item: item.cell.column.metric or ""):
        cell = item.cell
        change = cell.difference
        style = _STYLES.get(cell.status or Status.MATCH, "dim")
        table.add_row(
            escape(cell.column.head),
            escape(item.where),
            cell.printed,
            f"[{style}]{figure(cell.measured, cell.printed)}",
            MISSING if change is None else f"[{style}]{change:+.1%}",
        )
    print(table)
    cells = [item.cell for item in found if item.cell.status == Status.DIFFERS]
    for reason in dict.fromkeys(filter(None, (x for c in cells for x in (c.erratum, c.caveat)))):
        print(f"  [dim]{escape(reason)}")


def commands_for_missing(found: list[Appearance]) -> list[str]:
    """The commands that would fill what is not measured, each once."""
    return list(dict.fromkeys(item.cell.command for item in found if item.cell.command))

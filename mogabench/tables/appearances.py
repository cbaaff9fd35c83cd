"""Where in the paper one network's figures appear, with what was measured beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mogabench.tables.grid import MISSING, figure, percent
from mogabench.tables.join import join
from mogabench.tables.verdict import Status

if TYPE_CHECKING:
    from mogabench.paper import Paper
    from mogabench.records import Store
    from mogabench.subject import Subject
    from mogabench.tables.cells import Cell


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
            "account": cell.account,
            "caveat": cell.caveat,
        }


def appearances(subject: Subject, paper: Paper, store: Store) -> list[Appearance]:
    """Every printed figure of exactly this subject, in the paper's order."""
    found = []
    for table in paper.tables():
        if not any(row.meta.backbone == subject.backbone for row in table.rows):
            continue
        for row in join(table, store).rows:
            where = f"{table.name}, {row.row.label}"
            found += [
                Appearance(where, cell)
                for cell in row.cells
                if cell.status is not None and cell.subject == subject
            ]
    return found


def rows_of(found: list[Appearance]) -> list[tuple[str, ...]]:
    """Figure, place, printed, measured, difference and status, a row for each appearance."""
    return [
        (
            item.cell.column.head,
            item.where,
            item.cell.printed,
            figure(item.cell.measured, item.cell.printed),
            percent(item.cell.difference) or MISSING,
            "" if item.cell.status is None else item.cell.status.replace("_", " "),
        )
        for item in sorted(found, key=lambda item: item.cell.column.metric or "")
    ]


def reasons_of(found: list[Appearance]) -> list[str]:
    """Why measured figures differ from printed ones, or are left out, each reason once."""
    texts = []
    for cell in (item.cell for item in found):
        if cell.status == Status.KNOWN_REASON:
            texts += [cell.erratum, cell.account, cell.caveat]
        elif cell.status == Status.NOT_MEASURED:
            texts.append(cell.caveat)
    return list(dict.fromkeys(filter(None, texts)))


def commands_for_missing(found: list[Appearance]) -> list[str]:
    """The commands that would fill what is not measured, each once."""
    return list(dict.fromkeys(item.cell.command for item in found if item.cell.command))

"""The known misprints and contradictions, keyed to cells, read from ``errata.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError
from mogabench.paper.table import load_table
from mogabench.paper.vocabulary import read_yaml

if TYPE_CHECKING:
    from mogabench.paper.table import PaperTable, Row
    from mogabench.paper.vocabulary import Column


@dataclass(frozen=True)
class Erratum:
    """Why a printed cell is wrong, doubtful or not comparable.

    Attributes:
        table: The table's name.
        row: The row's index.
        column: The column's head.
        reason: The reason, in one or two sentences.
        should_be: What it ought to say, where that is known.
    """

    table: str
    row: int
    column: str
    reason: str
    should_be: str | None = None


def erratum(table_id: str, row: Row, column: Column) -> Erratum | None:
    """What is known to be wrong with a cell, or None."""
    return errata().get((table_id, row.index, column.head))


def remarks(table_id: str) -> tuple[str, ...]:
    """What a reader of a whole table must know; sentences, often none."""
    return tuple(_read_file().get(table_id, {}).get("remarks", ()))


@cache
def errata() -> dict[tuple[str, int, str], Erratum]:
    """Every erratum, by table, row index and head.

    Raises:
        UserError: An entry names no cell, or a cell that an earlier entry names.
    """
    found: dict[tuple[str, int, str], Erratum] = {}
    for table_id, entries in _read_file().items():
        table = load_table(table_id)
        for entry in entries.get("cells", ()):
            for row in _rows(table, entry):
                for head in _as_list(entry["column"]):
                    _add(found, table, row, head, entry)
    return found


@cache
def _read_file() -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = read_yaml("errata.yaml")
    return tables


def _add(
    found: dict[tuple[str, int, str], Erratum],
    table: PaperTable,
    row: int,
    head: str,
    entry: dict[str, Any],
) -> None:
    key = (table.id, row, head)
    if head not in table.rows[row].cells or key in found:
        raise UserError(f"errata.yaml: table {table.id} has no cell '{head}', or it is there twice")
    found[key] = Erratum(*key, entry["reason"], entry.get("should_be"))


def _rows(table: PaperTable, entry: dict[str, Any]) -> list[int]:
    """The rows an entry names: a label, a list of labels, ``label #2`` for its second, or ``*``."""
    if entry["row"] == "*":
        return [row.index for row in table.rows]
    return [_row(table, name) for name in _as_list(entry["row"])]


def _row(table: PaperTable, name: str) -> int:
    label, _, occurrence = name.partition(" #")
    same = [row.index for row in table.rows if row.label == label]
    if occurrence:
        same = same[int(occurrence) - 1 : int(occurrence)]
    if len(same) != 1:
        raise UserError(f"errata.yaml: '{name}' names {len(same)} rows of table {table.id}, not 1")
    return same[0]


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value

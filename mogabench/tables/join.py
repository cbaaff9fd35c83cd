"""The join: the tables of the paper with the records, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mogabench.paper import cell_meta, cell_subject, erratum
from mogabench.records import Kind, is_stale
from mogabench.tables.cells import COSTS, is_buildable, join_cell
from mogabench.tables.costs import needed_subjects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mogabench.paper import PaperTable, Row
    from mogabench.records import Store
    from mogabench.subject import Subject
    from mogabench.tables.cells import Cell
    from mogabench.tables.verdict import Status


@dataclass(frozen=True)
class JoinedRow:
    """A row of the paper with its cells joined; ``added`` marks a user's own."""

    row: Row
    cells: tuple[Cell, ...]
    added: bool = False


@dataclass(frozen=True)
class JoinedTable:
    """A table of the paper with every cell joined."""

    paper: PaperTable
    rows: tuple[JoinedRow, ...]

    def count(self, status: Status) -> int:
        """How many cells have that status."""
        return len(self.cells(status))

    def cells(self, status: Status) -> list[Cell]:
        """The cells that have that status."""
        return [cell for row in self.rows for cell in row.cells if cell.status == status]


def join(table: PaperTable, store: Store) -> JoinedTable:
    """Joins a table with the records; rows of `with_backbones` have no printed cells."""
    rows = [
        JoinedRow(
            row,
            tuple(join_cell(table, row, column, store) for column in table.columns),
            added=not row.cells,
        )
        for row in table.rows
    ]
    return JoinedTable(table, tuple(rows))


def with_backbones(table: PaperTable, names: list[str]) -> PaperTable:
    """Appends a row for each backbone, measured as the table's first MogaNet row is.

    In Table 3 that is at 224x224 from scratch, where the last one is a fine-tuned network.
    """
    models = [row for row in table.rows if row.meta.backbone.startswith("moganet_")]
    if not models:
        return table
    meta = replace(models[0].meta, options={}, recipe="")
    rows = [
        replace(models[0], index=index, label=name, meta=replace(meta, backbone=name), cells={})
        for index, name in enumerate(names, start=len(table.rows))
    ]
    return replace(table, rows=(*table.rows, *rows))


def unmeasured(tables: list[PaperTable], store: Store, *, fresh: bool = False) -> list[Subject]:
    """The distinct subjects whose complexity can be measured here and has no valid record yet.

    Args:
        tables: The tables to look through.
        store: The records there are.
        fresh: Ask for subjects that have a record, too.
    """
    wanted = {subject.key: subject for table in tables for subject in _needed_subjects(table)}
    return [
        subject
        for key, subject in wanted.items()
        if is_buildable(subject) and (fresh or not _is_counted(key, store))
    ]


def _is_counted(key: str, store: Store) -> bool:
    """Whether there is a record of what the code that is here counts."""
    record = store.latest(key, Kind.COMPLEXITY)
    return record is not None and not is_stale(record)


def subjects_of(table: PaperTable) -> Iterator[Subject]:
    """What the parameters and operations of a table are about; some more than once."""
    for row in table.rows:
        for column in table.columns:
            if column.metric in COSTS:
                subject = cell_subject(row, column)
                if subject is not None:
                    yield subject


def _needed_subjects(table: PaperTable) -> Iterator[Subject]:
    """What the costs of a table and their errata are read from; some more than once."""
    for row in table.rows:
        for column in table.columns:
            if column.metric in COSTS and cell_subject(row, column) is not None:
                known = erratum(table.id, row, column)
                derivations = known.derivations if known else ()
                yield from needed_subjects(cell_meta(row, column), derivations)

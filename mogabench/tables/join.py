"""The join: the tables of the paper with the records, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mogabench.errors import unknown
from mogabench.paper import TIMED, cell_meta, cell_subject
from mogabench.records import is_counted
from mogabench.tables.cells import join_cell
from mogabench.tables.costs import needed_subjects
from mogabench.tables.measurable import COSTS, is_buildable
from mogabench.tables.timed import choose_timings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mogabench.paper import PaperTable, Row
    from mogabench.records import Store
    from mogabench.subject import Subject
    from mogabench.tables.cells import Cell
    from mogabench.tables.verdict import Status


@dataclass(frozen=True)
class JoinedRow:
    """A row of the paper, or a user's own, with its cells joined.

    Attributes:
        row: The row as printed.
        cells: Its cells, in the order of the table's columns.
    """

    row: Row
    cells: tuple[Cell, ...]

    @property
    def added(self) -> bool:
        """Whether it is a user's own."""
        return self.row.added


@dataclass(frozen=True)
class JoinedTable:
    """A table of the paper with every cell joined.

    Attributes:
        paper: The table as printed.
        rows: Its rows, followed by those that were added.
    """

    paper: PaperTable
    rows: tuple[JoinedRow, ...]

    def count(self, status: Status) -> int:
        """How many cells have that status."""
        return len(self.cells(status))

    def cells(self, status: Status) -> list[Cell]:
        """The cells that have that status."""
        return [cell for row in self.rows for cell in row.cells if cell.status == status]


def join(table: PaperTable, store: Store) -> JoinedTable:
    """Joins a table with the records."""
    timings = [
        choose_timings(table, column, store) if column.metric in TIMED else None
        for column in table.columns
    ]
    columns = list(zip(table.columns, timings, strict=True))
    rows = [
        JoinedRow(row, tuple(join_cell(table, row, column, store, own) for column, own in columns))
        for row in table.rows
    ]
    return JoinedTable(table, tuple(rows))


def select_columns(tables: Sequence[JoinedTable], heads: Sequence[str]) -> list[JoinedTable]:
    """The tables with what names their rows, the first column and those that begin as asked.

    Raises:
        UserError: No table has a head that begins so.
    """
    wanted = [head.strip().casefold() for head in heads]
    known = dict.fromkeys(column.head for table in tables for column in table.paper.columns)
    for head in wanted:
        if not any(name.casefold().startswith(head) for name in known):
            raise unknown("column", head, known)
    return [_select(table, wanted) for table in tables]


def _select(table: JoinedTable, wanted: Sequence[str]) -> JoinedTable:
    names_rows = (0, table.paper.label_place)
    kept = [
        number
        for number, column in enumerate(table.paper.columns)
        if number in names_rows or any(column.head.casefold().startswith(head) for head in wanted)
    ]
    columns = tuple(table.paper.columns[number] for number in kept)
    rows = [replace(row, cells=tuple(row.cells[number] for number in kept)) for row in table.rows]
    return JoinedTable(replace(table.paper, columns=columns), tuple(rows))


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
        if is_buildable(subject) and (fresh or not is_counted(key, store))
    ]


def subjects_of(table: PaperTable) -> Iterator[Subject]:
    """What the parameters and operations of a table are about; some more than once."""
    for row in table.rows:
        for column in table.columns:
            if column.metric in COSTS:
                subject = cell_subject(row, column)
                if subject is not None:
                    yield subject


def conventions_of(table: PaperTable) -> dict[Subject, str]:
    """How the printed operations of a table's networks are counted, where somebody says so."""
    found: dict[Subject, str] = {}
    for row in table.rows:
        for column in table.columns:
            subject = cell_subject(row, column)
            if column.metric == "operations" and column.is_printed and subject is not None:
                source = table.paper.counting_source(cell_meta(row, column))
                convention = column.convention or (source.convention if source else None)
                if convention:
                    found.setdefault(subject, convention)
    return found


def _needed_subjects(table: PaperTable) -> Iterator[Subject]:
    """What the costs of a table and their errata are read from; some more than once."""
    for row in table.rows:
        for column in table.columns:
            if column.metric in COSTS and cell_subject(row, column) is not None:
                known = table.erratum(row, column)
                derivations = known.derivations if known else ()
                yield from needed_subjects(cell_meta(row, column), derivations)

"""The front page: how many cells stand how, and why those that differ do."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mogabench.tables.grid import figure, percent
from mogabench.tables.page.groups import GROUPS, group_of
from mogabench.tables.page.sections import anchor_of
from mogabench.tasks import tasks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mogabench.tables.cells import Cell
    from mogabench.tables.join import JoinedRow, JoinedTable


@dataclass(frozen=True)
class Place:
    """A cell's place in the page: the name of its row, and how a reader calls the cell."""

    anchor: str
    table: str
    row: str
    column: str


@dataclass(frozen=True)
class Difference:
    """A cell that nothing explains."""

    place: Place
    printed: str
    measured: str
    change: str
    known: str
    tried: str


@dataclass(frozen=True)
class Overview:
    """What the front page says.

    Attributes:
        counts: Cells by the key of their group.
        by_table: The same for each table, after its name and title.
        data: Cells that wait, by the data set that they need, most of them first.
        reasons: Proven reasons, each with its cells, the most frequent first.
        unexplained: The cells that nothing explains.
    """

    counts: dict[str, int]
    by_table: list[tuple[str, str, dict[str, int]]]
    data: list[tuple[str, int]]
    reasons: list[tuple[str, list[Place]]]
    unexplained: list[Difference]

    @property
    def total(self) -> int:
        """All the cells that hold a figure."""
        return sum(self.counts.values())

    @property
    def data_text(self) -> str:
        """The data sets with how many cells wait for each."""
        return ", ".join(f"{count} {name}" for name, count in self.data)

    @property
    def compared(self) -> int:
        """The cells whose measured figure can be compared with the printed one."""
        return sum(self.counts[key] for key in ("reproduced", "differs", "unexplained"))


def overview(tables: Sequence[JoinedTable]) -> Overview:
    """Counts the cells of some tables."""
    cells = [found for table in tables for found in _cells(table)]
    data = Counter(_data_set(cell) for _, _, cell in cells if group_of(cell) == "data")
    reasons: defaultdict[str, list[Place]] = defaultdict(list)
    for table, row, cell in cells:
        if group_of(cell) == "differs":
            reasons[cell.erratum].append(_place(table, row, cell))
    return Overview(
        _counts(cells),
        [
            (table.paper.id, table.paper.title, _counts([f for f in cells if f[0] is table]))
            for table in tables
        ],
        data.most_common(),
        sorted(reasons.items(), key=lambda item: -len(item[1])),
        [
            Difference(
                _place(table, row, cell),
                cell.printed,
                figure(cell.measured, cell.like),
                percent(cell.difference).replace("-", "−"),
                cell.erratum,
                cell.account,
            )
            for table, row, cell in cells
            if group_of(cell) == "unexplained"
        ],
    )


def _cells(table: JoinedTable) -> Iterator[tuple[JoinedTable, JoinedRow, Cell]]:
    for row in table.rows:
        for cell in row.cells:
            if group_of(cell):
                yield table, row, cell


def _counts(cells: Sequence[tuple[JoinedTable, JoinedRow, Cell]]) -> dict[str, int]:
    found = Counter(group_of(cell) for _, _, cell in cells)
    return {group.key: found[group.key] for group in GROUPS}


def _data_set(cell: Cell) -> str:
    assert cell.subject is not None  # as of every cell that holds a figure
    return tasks()[cell.subject.task].data_of(cell.subject, cell.dataset) or "data"


def _place(table: JoinedTable, row: JoinedRow, cell: Cell) -> Place:
    return Place(
        anchor_of(table.paper.id, row.row.index), table.paper.id, row.row.label, cell.column.head
    )

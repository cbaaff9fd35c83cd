"""A table's cells as columns of fields, which are not LaTeX yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mogabench.tables.grid import NEAR, figure, percent
from mogabench.tables.layout import CHANGE, MEASURED, PRINTED, kinds, split_head, timed_on
from mogabench.tables.measurable import COSTS, lower_is_better
from mogabench.tables.rendering.latex.text import ems
from mogabench.tables.verdict import DIFFERS, Status

if TYPE_CHECKING:
    from mogabench.tables.cells import Cell
    from mogabench.tables.join import JoinedTable

_KINDS = {PRINTED: "print", MEASURED: "meas.", CHANGE: CHANGE}
"""The innermost heads, short."""


@dataclass(frozen=True)
class Field:
    """A text that is not yet LaTeX, its footnote, and how it is set."""

    text: str
    note: str = ""
    sign: str = ""
    bold: bool = False

    @property
    def width(self) -> float:
        """About its width in ems."""
        text = ems(self.text) * (1.15 if self.bold else 1)
        return text + 0.55 * (bool(self.note) + bool(self.sign))


@dataclass(frozen=True)
class Column:
    """A column of the float: its heads from the outermost inwards, and its fields.

    ``timed_on`` is too long for a head and stands below the float, with the table's own ``head``.
    """

    heads: tuple[str, str, str]
    fields: tuple[Field, ...]
    is_numeric: bool
    is_minor: bool = False
    names_rows: bool = False
    head: str = ""
    timed_on: str = ""

    @property
    def width(self) -> float:
        """About its width in ems; a head that spans several columns is left out."""
        return max([ems(self.heads[-1]), *(item.width for item in self.fields)])


def columns_of(table: JoinedTable) -> list[Column]:
    """A column for what is printed, what is measured and its change, as each of the table's has."""
    found = []
    split = [split_head(column.head) for column in table.paper.columns]
    deep = {group for n, (group, _) in enumerate(split) if len(kinds(table, n)) > 1}
    flat = {group for group, _ in split} - deep - {""}
    for number, column in enumerate(table.paper.columns):
        group, name = split[number]
        shown, best = kinds(table, number), _best(table, number)
        is_label = number == table.paper.label_place
        names_rows = column.metric is None and number <= table.paper.label_place
        for kind in shown:
            fields = tuple(
                Field(row.row.label)
                if row.added and is_label
                else _field(row.cells[number], kind, len(shown) > 1, best.get(kind))
                for row in table.rows
            )
            heads = (group, name, _KINDS[kind]) if len(shown) > 1 else (group, "", name)
            if group in flat:
                heads = ("", group, name)  # next to what it is the head of
            is_numeric = column.metric is not None
            on = timed_on(table, number) if kind == MEASURED else ""
            found.append(
                Column(heads, fields, is_numeric, column.is_minor, names_rows, column.head, on)
            )
    return found


def _best(table: JoinedTable, number: int) -> dict[str, float]:
    """The best printed and the best measured figure of a column, where better is known.

    Costs have no better. A print that is known to be wrong is not the best, nor a rough speed.
    """
    column = table.paper.columns[number]
    if column.metric is None or column.metric in COSTS:
        return {}
    cells = [row.cells[number] for row in table.rows]
    better = min if any(lower_is_better(column, cell.subject) for cell in cells) else max
    sound = [cell.paper for cell in cells if not cell.erratum]
    by_kind = {PRINTED: sound, MEASURED: [c.measured for c in cells if not c.is_rough]}
    known = {kind: [v for v in values if v is not None] for kind, values in by_kind.items()}
    return {kind: better(values) for kind, values in known.items() if len(values) > 1}


def _field(cell: Cell, kind: str, has_measured: bool, best: float | None) -> Field:
    """A field of a cell; its footnote goes with the measured figure where there is one."""
    note = "; ".join(text.rstrip(".") for text in (cell.erratum, cell.account, cell.caveat) if text)
    if kind == CHANGE:
        return Field(percent(cell.difference).replace("-", "−"))
    if kind == MEASURED:
        is_best = cell.measured is not None and cell.measured == best and not cell.is_rough
        return Field(figure(cell.measured, cell.like), note, _sign(cell), is_best)
    is_best = cell.paper is not None and cell.paper == best and not cell.erratum
    return Field(cell.printed, "" if has_measured else note, bold=is_best)


def _sign(cell: Cell) -> str:
    if cell.status in (Status.WITHIN_TOLERANCE, Status.WITHIN_NOISE):
        return NEAR
    return "!" if cell.status in DIFFERS else ""

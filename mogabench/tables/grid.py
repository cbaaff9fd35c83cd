"""A joined table as a grid of styled texts, which every renderer prints in its own syntax."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from mogabench.columns import short
from mogabench.paper import CONVENTIONS, read_number
from mogabench.tables.layout import CHANGE, MEASURED, PRINTED, kinds, kinds_of, letter, timed_on
from mogabench.tables.measurable import is_buildable
from mogabench.tables.verdict import STATUS_TEXTS, Status
from mogabench.tasks import tasks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mogabench.tables.cells import Cell
    from mogabench.tables.join import JoinedTable

MISSING = "—"
NEAR = "≈"
"""Marks a figure that is taken for the printed one without rounding to it."""

_NEAR = (Status.WITHIN_TOLERANCE, Status.WITHIN_NOISE)
_ALWAYS_COUNTED = (
    Status.ROUNDS,
    Status.WITHIN_TOLERANCE,
    Status.KNOWN_REASON,
    Status.UNEXPLAINED,
    Status.NOT_MEASURED,
)


@dataclass(frozen=True)
class Text:
    """What one field of the grid shows.

    Attributes:
        text: The text itself.
        status: How the measured figure stands; None for a figure of the paper.
        footnotes: Numbers of the footnotes that explain it, from 1.
        hover: What an HTML page shows under the pointer.
    """

    text: str
    status: Status | None = None
    footnotes: tuple[int, ...] = ()
    hover: str = ""


class Importance(Enum):
    """What a column is for a reader who cannot see all of them."""

    ESSENTIAL = "names, set-up and costs"
    QUALITY = "accuracies and throughputs"
    DIFFERENCE = "of measured from printed costs"
    DETAIL = "one of several below a heading"
    DESCRIPTION = "dates and types"
    EMPTY = "measured figures, of which there are none yet"


@dataclass(frozen=True)
class Grid:
    """Heads, rows and footnotes.

    Attributes:
        title: The table's name and title.
        heads: The columns' heads.
        numeric: Whether a column aligns to the right.
        groups: The paper's head that a column belongs to: its own, or that of the printed figures
            beside it.
        importance: The columns' importance.
        rows: The fields.
        added: Whether a row is a user's own.
        footnotes: Their texts; `marks` gives their letters.
        summary: What is said below the table, in several lines.
    """

    title: str
    heads: list[str]
    numeric: list[bool]
    groups: list[str]
    importance: list[Importance]
    rows: list[list[Text]]
    added: list[bool]
    footnotes: list[str]
    summary: str


@dataclass
class Footnotes:
    """The texts below a table, each once."""

    texts: list[str] = field(default_factory=list)

    def numbers(self, text: str) -> tuple[int, ...]:
        """The number of a text, from 1; none of an empty one."""
        if text and text not in self.texts:
            self.texts.append(text)
        return (self.texts.index(text) + 1,) if text else ()

    def mark(self, text: str) -> str:
        """What points to a text on a terminal, such as ``[a]``; nothing to an empty one."""
        return "".join(f"[{letter(number)}]" for number in self.numbers(text))


def marks(numbers: Iterable[int]) -> str:
    """The letters of footnotes, such as ``a,c`` for 1 and 3; after ``z`` comes ``aa``."""
    return ",".join(map(letter, numbers))


def to_grid(joined: JoinedTable) -> Grid:
    """Lays a joined table out: printed, measured and Δ side by side for each measured column."""
    footnotes = Footnotes()
    columns = joined.paper.columns
    heads = [_heads(joined, number) for number in range(len(columns))]
    rows = [
        [
            text
            for cell, own in zip(row.cells, heads, strict=True)
            if own
            for text in _texts(cell, footnotes)
        ]
        for row in joined.rows
    ]
    return Grid(
        title=f"{joined.paper.name}. {joined.paper.title}",
        heads=[head for own in heads for head in own],
        numeric=[c.metric is not None for c, own in zip(columns, heads, strict=True) for _ in own],
        groups=[c.head for c, own in zip(columns, heads, strict=True) for _ in own],
        importance=[
            importance
            for number, own in enumerate(heads)
            for importance in _importance(joined, number)[: len(own)]
        ],
        rows=rows,
        added=[row.added for row in joined.rows],
        footnotes=footnotes.texts,
        summary=_summary(joined),
    )


def _importance(joined: JoinedTable, number: int) -> list[Importance]:
    """Of the columns that a column of the paper makes: printed, measured and Δ."""
    column = joined.paper.columns[number]
    if column.metric is None:
        dispensable = column.is_minor or ": " in column.head
        return [Importance.DESCRIPTION if dispensable else Importance.ESSENTIAL]
    if not column.is_printed:
        return [Importance.DETAIL]
    if CHANGE in kinds_of(column):
        return [Importance.ESSENTIAL, Importance.ESSENTIAL, Importance.DIFFERENCE]
    own = Importance.DETAIL if ": " in column.head else Importance.QUALITY
    is_measured = any(row.cells[number].measured is not None for row in joined.rows)
    return [own, own if is_measured else Importance.EMPTY]


def figure(value: float | None, like: str) -> str:
    """A measured number with one more digit than the printed one and its unit; ``—`` for None.

    One that nothing is printed beside, such as the images of a slow detector per second, is short.
    """
    if value is None:
        return MISSING
    printed = read_number(like)
    if printed is None:
        return short(value)
    decimals = printed.decimals + 1 + (abs(value) < 10 and printed.decimals == 0)
    return f"{value:.{decimals}f}{printed.unit}"


def _heads(joined: JoinedTable, number: int) -> list[str]:
    """The heads that a column has, also where nothing is measured beside what is printed."""
    column = joined.paper.columns[number]
    measured = (MEASURED if column.is_printed else column.head) + timed_on(joined, number)
    heads = {PRINTED: column.head, MEASURED: measured, CHANGE: CHANGE}
    shown = kinds_of(column) if column.is_printed else kinds(joined, number)
    return [heads[kind] for kind in shown]


def _orders(joined: JoinedTable) -> list[str]:
    """How far the measured throughputs order the rows as the printed ones do."""
    lines = []
    for number, column in enumerate(joined.paper.columns):
        pairs = [
            (cell.paper, cell.measured)
            for cell in (row.cells[number] for row in joined.rows)
            if column.metric == "fps" and cell.paper is not None and cell.measured is not None
        ]
        if len(pairs) > 2:
            from scipy.stats import spearmanr

            correlation = spearmanr(*zip(*pairs, strict=True)).statistic
            lines.append(
                f"{column.head}: measured{timed_on(joined, number)}; the printed and the measured "
                f"order of {len(pairs)} rows have a rank correlation (Spearman's) of "
                f"{correlation:.2f}."
            )
    return lines


def _texts(cell: Cell, footnotes: Footnotes) -> list[Text]:
    printed = Text(cell.printed, footnotes=footnotes.numbers(cell.erratum))
    shown = figure(cell.measured, cell.like) + NEAR * (cell.status in _NEAR)
    notes = (*footnotes.numbers(cell.account), *footnotes.numbers(cell.caveat))
    measured = Text(shown, cell.status, notes, hover=_counts(cell))
    change = Text(percent(cell.difference), cell.status)
    texts = {PRINTED: printed, MEASURED: measured, CHANGE: change}
    return [texts[kind] for kind in kinds_of(cell.column)]


def _counts(cell: Cell) -> str:
    """The operations by each convention."""
    return "; ".join(
        f"{name} ({CONVENTIONS[name]}): {value:.3f} {cell.unit}"
        for name, value in cell.counts.items()
    )


def percent(change: float | None) -> str:
    """A relative difference, such as ``+0.2%``; empty for None."""
    return "" if change is None else f"{change:+.1%}".replace("-0.0%", "+0.0%")


def _summary(joined: JoinedTable) -> str:
    lines = [f"Cells: {counts_text(joined)}.", *_conventions(joined)]
    missing = joined.cells(Status.NOT_MEASURED)
    unbuilt = sum(
        any(
            c.status == Status.NOT_MEASURED and c.subject and not is_buildable(c.subject)
            for c in row.cells
        )
        for row in joined.rows
    )
    if unbuilt:
        lines.append(f"Rows without an implementation yet: {unbuilt}.")
    unread = [
        cell.printed
        for row in joined.rows
        for cell in row.cells
        if cell.column.metric and cell.status is None and any(map(str.isdigit, cell.printed))
    ]
    if unread:
        first = f"such as '{unread[0]}'; 'mogabench paper check' says why"
        lines.append(f"Figures that cannot be compared: {len(unread)}, {first}.")
    commands = [cell.command for cell in missing if cell.command]
    if commands:
        lines.append(f"To measure what is missing, for example: {commands[-1]}")
    return "\n".join([*lines, *_orders(joined), *joined.paper.notes.remarks])


def counts_text(*tables: JoinedTable) -> str:
    """How many cells of some tables have each status, such as ``84 round to the printed …``."""
    counts = {status: sum(table.count(status) for table in tables) for status in Status}
    return ", ".join(
        f"{count} {STATUS_TEXTS[status]}"
        for status, count in counts.items()
        if count or status in _ALWAYS_COUNTED
    )


def total_lines(tables: Sequence[JoinedTable]) -> list[str]:
    """The counts of several tables together: their cells, and the measurements behind these.

    A network that stands in several tables was measured once.
    """
    measurements: dict[Status, set[tuple[str, str]]] = {}
    for table in tables:
        for status in Status:
            measurements.setdefault(status, set()).update(
                (cell.subject.key, cell.column.metric or "")
                for cell in table.cells(status)
                if cell.subject is not None and cell.measured is not None
            )
    distinct = ", ".join(
        f"{len(found)} {STATUS_TEXTS[status]}" for status, found in measurements.items() if found
    )
    return [
        f"Cells of {len(tables)} tables: {counts_text(*tables)}.",
        "",
        f"Distinct measurements behind them: {distinct or 'none'}.",
    ]


def _conventions(joined: JoinedTable) -> list[str]:
    used = Counter(
        (cell.convention, cell.counted_by)
        for row in joined.rows
        for cell in row.cells
        if cell.counted_by and cell.measured is not None
    )
    if not used:
        return []
    named = [f"{name} ({source}) in {count} cells" for (name, source), count in used.items()]
    names = dict.fromkeys(
        cell.subject.task for row in joined.rows for cell in row.cells if cell.subject
    )
    counted = "; ".join(f"{tasks()[name].counted_input} ({name})" for name in names)
    return [
        "Parameters are the trainable ones.",
        f"Operations are multiply-accumulates for {counted}, by the convention of who counted: "
        f"{'; '.join(named)}.",
    ]

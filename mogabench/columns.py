"""Rows of fields as lines of text that fit a screen, without cutting a field short.

A field is whole on one line, so that numbers and names can be read and copied; only columns of
prose are broken at spaces. A table that is too wide even so is stacked: each row becomes lines of
head and field.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mogabench.escaping import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LEAST_PROSE = 20
"""Columns that are left to a column of prose at least."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        head: Its heading.
        fields: A text for each row.
        right: Whether it aligns to the right, as numbers do.
        prose: Whether its fields may be broken at spaces.
        styles: What colours a field after it was padded, for each row; None for plain text.
    """

    head: str
    fields: Sequence[str]
    right: bool = False
    prose: bool = False
    styles: Sequence[Callable[[str], str]] | None = None

    def __post_init__(self) -> None:
        """Writes out control characters, which would change the terminal or the widths."""
        object.__setattr__(self, "fields", [printable(field) for field in self.fields])

    @property
    def width(self) -> int:
        """Of the longest field."""
        return max(map(len, self.fields), default=0)


def short(value: float) -> str:
    """A measured number such as a speed, with three digits, or from 100 on with one decimal."""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:#.3g}"


def lay_out(columns: Sequence[Column], width: int | None) -> list[str]:
    """The lines of a table.

    Args:
        columns: The columns, with equally many fields.
        width: Of the screen; None for as wide as the table is, as in a file or a pipe.
    """
    if width is None:
        return _table(columns, [max(c.width, len(c.head)) for c in columns], gap=2)
    found = _widths(columns, width)
    return _stack(columns, width) if found is None else _table(columns, *found)


def fits(columns: Sequence[Column], width: int) -> bool:
    """Whether the columns stand side by side on a screen of that width."""
    return _widths(columns, width) is not None


def _widths(columns: Sequence[Column], screen: int) -> tuple[list[int], int] | None:
    """The columns' widths and the gap between them; None where they do not fit."""
    whole = [max(column.width, len(column.head)) for column in columns]
    narrow = [max(column.width, _longest_word(column.head)) for column in columns]
    for widths in (whole, narrow):
        for gap in (2, 1):
            if sum(widths) + gap * (len(widths) - 1) <= screen:
                return widths, gap
    least = [_least(column, size) for column, size in zip(columns, narrow, strict=True)]
    room = screen - sum(least) - 2 * (len(columns) - 1)
    if room < 0:
        return None
    lacking = {number: narrow[number] - size for number, size in enumerate(least)}
    for rank, number in enumerate(sorted(lacking, key=lambda number: lacking[number])):
        more = min(lacking[number], room // (len(columns) - rank))
        least[number] += more
        room -= more
    return least, 2


def _least(column: Column, size: int) -> int:
    """The least width of a column: prose is broken, but not within a word."""
    if not column.prose:
        return size
    longest = max(map(_longest_word, column.fields), default=0)
    return min(size, max(longest, _longest_word(column.head), _LEAST_PROSE))


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)


def _table(columns: Sequence[Column], widths: Sequence[int], gap: int) -> list[str]:
    heads = [
        _wrapped(replace(column, prose=True), column.head, width)
        for column, width in zip(columns, widths, strict=True)
    ]
    tallest = max(map(len, heads))
    heads = [[""] * (tallest - len(lines)) + lines for lines in heads]
    plain = [replace(column, styles=None) for column in columns]
    lines = _row(plain, heads, widths, gap, row=0)
    lines.append("─" * (sum(widths) + gap * (len(widths) - 1)))
    for row in range(len(columns[0].fields)):
        fields = [
            _wrapped(column, column.fields[row], width)
            for column, width in zip(columns, widths, strict=True)
        ]
        lines += _row(columns, fields, widths, gap, row)
    return lines


def _wrapped(column: Column, text: str, width: int) -> list[str]:
    if not column.prose or len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _row(
    columns: Sequence[Column],
    fields: Sequence[Sequence[str]],
    widths: Sequence[int],
    gap: int,
    row: int,
) -> list[str]:
    """The lines of a row, whose fields may have several."""
    lines = []
    for number in range(max(map(len, fields))):
        line = ""
        at = 0
        for column, texts, width in zip(columns, fields, widths, strict=True):
            text = texts[number] if number < len(texts) else ""
            margin = " " * (width - len(text)) if column.right else ""
            style = column.styles[row] if column.styles else str
            if text:
                line += " " * at + margin + style(text)
                at = gap + width - len(margin) - len(text)
            else:
                at += width + gap
        lines.append(line)
    return lines


def _stack(columns: Sequence[Column], width: int) -> list[str]:
    """Each row as its first field, and below it a line for each head and field."""
    first, *others = columns
    margin = max((len(column.head) for column in others), default=0) + 4
    lines: list[str] = []
    for row, title in enumerate(first.fields):
        style = first.styles[row] if first.styles else str
        lines.append(style(title))
        for column in others:
            text = column.fields[row]
            if not text:
                continue
            style = column.styles[row] if column.styles else str
            head = f"  {column.head:<{margin - 2}}"
            if margin + len(text) > width and len(column.head) + 4 + len(text) <= width:
                head = f"  {column.head}  "
            if len(head) + len(text) <= width:
                parts = [text]
            else:  # a line of its own, broken at spaces where it is prose
                lines.append(f"  {column.head}")
                head = " " * 4
                parts = _wrapped(column, text, width - 4)
            lines += [
                f"{head if not n else ' ' * len(head)}{style(part)}".rstrip()
                for n, part in enumerate(parts)
            ]
        lines.append("")
    return lines[:-1]

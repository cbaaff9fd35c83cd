"""What of a table fits a page: its columns, their size, and the rows of each float."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from mogabench.tables.layout import CHANGE, MEASURED
from mogabench.tables.rendering.latex.columns import Column, Field
from mogabench.tables.rendering.latex.text import ems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WIDTH = 337
"""Points that a table may have, by the estimate below; LaTeX's own ``article`` has 345."""
_HEIGHT = 450
"""Points of rows and footnotes in a float, with room for caption and heads in 550."""
SEPARATION = 4.0
"""Points between two columns."""
_LEADING = {"small": 11.0, "footnotesize": 9.5, "scriptsize": 8.0}
"""The sizes of article at 10 points, with their points from line to line."""
_EM = {"small": 9.25, "footnotesize": 8.5, "scriptsize": 7.97}
"""Twice the width of a digit in points: small sizes of Computer Modern are wider than they say."""


def floats_of(columns: list[Column]) -> tuple[list[list[Column]], str]:
    """The columns of each float, with its rows alone, and the size that all are set in."""
    shown, size = _fit(columns)
    floats = [
        [replace(column, fields=column.fields[start:stop]) for column in panel]
        for panel in _panels(shown, size)
        for start, stop in _parts(panel, _LEADING[size])
    ]
    return floats, size


def _fit(columns: list[Column]) -> tuple[list[Column], str]:
    """What is shown, and in which size: all that fits, else less, or turned, or all in panels."""
    needed = [column for column in columns if not column.is_minor]
    fewest = [column for column in needed if column.heads[-1] != CHANGE]
    forms = [columns, needed, fewest, _turn(columns)]
    fitting = ((form, size) for form in forms for size in _EM if _width(form, size) <= _WIDTH)
    in_panels = min(forms[1:], key=lambda form: len(list(_panels(form, "scriptsize"))))
    return next(fitting, (in_panels, "scriptsize"))


def _panels(columns: Sequence[Column], size: str) -> Iterator[list[Column]]:
    """Columns that fit beside those that name the rows, with which each panel begins."""
    names = [column for column in columns if column.names_rows]
    panel = list(names)
    others = [column for column in columns if not column.names_rows]
    for (_, head), members in groupby(others, key=lambda column: column.heads[:2]):
        inside = list(members)
        for some in [inside] if head else [[column] for column in inside]:
            if panel != names and _width([*panel, *some], size) > _WIDTH:
                yield panel
                panel = list(names)
            panel += some
    yield panel


def _width(columns: Sequence[Column], size: str) -> float:
    """About the width of columns in points, the heads above several of them included."""
    return _EM[size] * _ems_below(columns, 0, SEPARATION / _EM[size])


def _ems_below(columns: Sequence[Column], level: int, separation: float) -> float:
    """The width of columns below their heads of a level, in ems."""
    if level == len(columns[0].heads) - 1:
        return sum(column.width for column in columns) + separation * (len(columns) - 1)
    groups = [list(members) for _, members in groupby(columns, key=lambda c: c.heads[: level + 1])]
    widths = [
        max(ems(members[0].heads[level]), _ems_below(members, level + 1, separation))
        for members in groups
    ]
    return sum(widths) + separation * (len(groups) - 1)


def _turn(columns: Sequence[Column]) -> list[Column]:
    """Rows as columns, as the paper prints its tables of settings; what timed one is its note."""
    names = [
        Field(", ".join(filter(None, column.heads)), f"{MEASURED}{on}" if on else "")
        for column in columns[1:]
        for on in [column.timed_on]
    ]
    rows = [
        Column(("", "", item.text), tuple(column.fields[n] for column in columns[1:]), True)
        for n, item in enumerate(columns[0].fields)
    ]
    return [Column(("", "", columns[0].heads[-1]), tuple(names), False, names_rows=True), *rows]


def _parts(columns: Sequence[Column], leading: float) -> Iterator[tuple[int, int]]:
    """The first row and the one after the last of each float."""
    start, count = 0, len(columns[0].fields)
    height, seen = 0.0, set[str]()
    for row in range(count):
        notes = {column.fields[row].note for column in columns} - {""}
        more = leading + sum(_note_height(note) for note in notes - seen)
        if height + more > _HEIGHT and row > start:
            yield start, row
            start, height, seen = row, 0.0, set()
            more = leading + sum(map(_note_height, notes))
        height, seen = height + more, seen | notes
    yield start, count


def _note_height(text: str) -> float:
    """About the height of a footnote, which is set in scriptsize, a paragraph of its own."""
    lines = math.ceil(ems(text) * _EM["scriptsize"] / (0.95 * _WIDTH))
    return lines * _LEADING["scriptsize"]

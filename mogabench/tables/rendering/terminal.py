"""Tables for a terminal."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from mogabench.columns import Column, fits, lay_out
from mogabench.console import wrap
from mogabench.tables.grid import MISSING, Grid, Importance, Text, marks, to_grid, total_lines
from mogabench.tables.layout import CHANGE
from mogabench.tables.verdict import DIFFERS, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mogabench.tables.join import JoinedTable

_STYLES: dict[Status | None, dict[str, Any]] = {
    None: {},
    Status.ROUNDS: {"fg": "green"},
    Status.WITHIN_TOLERANCE: {"fg": "cyan"},
    Status.KNOWN_REASON: {"fg": "yellow"},
    Status.UNEXPLAINED: {"fg": "red", "bold": True},
    Status.REPRODUCED: {"fg": "green"},
    Status.WITHIN_NOISE: {"fg": "cyan"},
    Status.BELOW: {"fg": "red", "bold": True},
    Status.ABOVE: {"bold": True},
    Status.OTHER_DEVICE: {"dim": True},
    Status.NOT_MEASURED: {"dim": True},
}


def render_terminal(
    tables: Sequence[JoinedTable], width: int | None = None, *, colour: bool = False
) -> str:
    """Tables for a terminal; unexplained differences in red.

    Columns that matter least are left out where the terminal is too narrow, and named below.

    Args:
        tables: The tables.
        width: Of the terminal; None for every column, as in a file or a pipe.
        colour: Whether to colour figures by how they stand.
    """
    texts = ["\n".join(_lines(to_grid(table), width, colour=colour)) for table in tables]
    if len(tables) > 1:
        totals = filter(None, total_lines(tables))
        texts.append("\n".join(part for line in totals for part in wrap(line, width)))
    return "\n\n".join(texts)


def _lines(grid: Grid, width: int | None, *, colour: bool) -> Iterator[str]:
    yield from wrap(grid.title, width)
    yield ""
    columns = _columns(grid, colour=colour)
    shown = columns if width is None else _fitting(grid, columns, width)
    if shown:
        yield from lay_out(list(shown.values()), width)
    else:
        yield from lay_out(_joined(grid, columns), width)
    yield ""
    left_out = list(_left_out(grid, shown)) if shown else []
    if left_out:
        yield from wrap(f"Left out here: {', '.join(left_out)}; --wide shows all.", width)
    used = {mark for row in grid.rows for n in shown or columns for mark in row[n].footnotes}
    for number in sorted(used):
        note = grid.footnotes[number - 1]
        for line in wrap(f"[{marks([number])}] {note}", width, indent="    "):
            yield typer.style(line, dim=True) if colour else line
    for line in grid.summary.split("\n"):
        yield from wrap(line, width)


def _columns(grid: Grid, *, colour: bool) -> dict[int, Column]:
    """The grid's columns by number."""
    return {
        number: Column(
            head,
            [_with_marks(row[number], is_difference=head == CHANGE) for row in grid.rows],
            right=grid.numeric[number],
            styles=_styles(grid, number) if colour else None,
        )
        for number, head in enumerate(grid.heads)
    }


def _fitting(grid: Grid, columns: Mapping[int, Column], width: int) -> Mapping[int, Column]:
    """The columns that stand side by side; none where not even the essential ones do."""
    shown = dict(columns)
    for numbers in _dispensable(grid):
        if fits(list(shown.values()), width):
            break
        shown = {number: column for number, column in shown.items() if number not in numbers}
    return shown if fits(list(shown.values()), width) else {}


def _dispensable(grid: Grid) -> Iterator[set[int]]:
    """What is left out where a screen is narrow: the least important first."""
    numbers = range(len(grid.heads))
    yield {number for number in numbers if grid.importance[number] is Importance.EMPTY}
    yield from _groups(grid, Importance.DESCRIPTION)
    yield from _groups(grid, Importance.DETAIL)
    for number in numbers:
        if grid.importance[number] is Importance.DIFFERENCE:
            yield {number}
    yield from _groups(grid, Importance.QUALITY)


def _groups(grid: Grid, importance: Importance) -> Iterator[set[int]]:
    """The printed columns of an importance, each with the measured one, from the right."""
    found = [
        group for group, own in zip(grid.groups, grid.importance, strict=True) if own is importance
    ]
    for name in reversed(dict.fromkeys(found)):
        yield {number for number, group in enumerate(grid.groups) if group == name}


def _left_out(grid: Grid, shown: Mapping[int, Column]) -> Iterator[str]:
    """The heads of what is not shown; columns without a measured figure need no mention."""
    kept = {grid.groups[number] for number in shown}
    yield from (group for group in dict.fromkeys(grid.groups) if group not in kept)
    for number, head in enumerate(grid.heads):
        if head == CHANGE and number not in shown and grid.groups[number] in kept:
            yield f"{CHANGE} of {grid.groups[number]}"


def _joined(grid: Grid, columns: Mapping[int, Column]) -> list[Column]:
    """A column for each of the paper, whose fields have the measured figure behind the printed."""
    joined = []
    for name in dict.fromkeys(grid.groups):
        own = [columns[number] for number, group in enumerate(grid.groups) if group == name]
        rows = zip(*(column.fields for column in own), strict=True)
        joined.append(replace(own[0], fields=[_sentence(*fields) for fields in rows], styles=None))
    return joined


def _sentence(printed: str, measured: str = "", difference: str = "") -> str:
    """Such as ``161, measured 162.6≈ (+1.0%)``."""
    if measured in ("", MISSING):
        return printed
    return f"{printed}, measured {measured}" + (f" ({difference})" if difference else "")


def _styles(grid: Grid, number: int) -> list[Callable[[str], str]]:
    """How the fields of a column are coloured; a user's own rows are bold."""
    return [
        partial(typer.style, **(_STYLES[row[number].status] | ({"bold": True} if added else {})))
        for row, added in zip(grid.rows, grid.added, strict=True)
    ]


def _with_marks(text: Text, *, is_difference: bool) -> str:
    """The text with what points to it: a ``!`` at a measured figure, and the footnotes' letters."""
    mark = "!" if text.status in DIFFERS and not is_difference else ""
    return text.text + mark + (f"[{marks(text.footnotes)}]" if text.footnotes else "")

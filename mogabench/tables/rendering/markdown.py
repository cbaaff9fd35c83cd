"""Tables in GitHub Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.escaping import markdown_text, without_controls
from mogabench.tables.grid import Grid, Text, marks, to_grid, total_lines
from mogabench.tables.verdict import DIFFERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.tables.join import JoinedTable


def render_markdown(tables: Sequence[JoinedTable]) -> str:
    """GitHub Markdown; unexplained differences are bold."""
    texts = [_markdown(to_grid(table)) for table in tables]
    totals = ["\n".join(total_lines(tables))] * (len(tables) > 1)
    return without_controls("\n\n".join([*texts, *totals]))


def _markdown(grid: Grid) -> str:
    def line(fields: list[str]) -> str:
        return "| " + " | ".join(field.replace("|", r"\|") for field in fields) + " |"

    def show(text: Text) -> str:
        plain = markdown_text(text.text)
        shown = f"**{plain}**" if text.status in DIFFERS else plain
        return shown + (f"<sup>{marks(text.footnotes)}</sup>" if text.footnotes else "")

    lines = [f"## {markdown_text(grid.title)}", "", line([*map(markdown_text, grid.heads)])]
    lines.append(line(["---:" if numeric else ":---" for numeric in grid.numeric]))
    lines += [line([show(text) for text in row]) for row in grid.rows]
    lines += ["", *_notes(grid)]
    lines += [""] * bool(grid.footnotes) + [*map(markdown_text, grid.summary.split("\n"))]
    return "\n".join(lines)


def _notes(grid: Grid) -> list[str]:
    """The footnotes, each a line; two spaces end it, as Markdown has no lists of letters."""
    return [
        f"<sup>{marks([n])}</sup> {markdown_text(note)}  "
        for n, note in enumerate(grid.footnotes, start=1)
    ]

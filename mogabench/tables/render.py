"""The renderers: a table as terminal text, Markdown, CSV, LaTeX, HTML or JSON."""

from __future__ import annotations

import csv
import html
import io
import json
from typing import TYPE_CHECKING, Any

from mogabench.tables.grid import Grid, Text, to_grid, total_lines
from mogabench.tables.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mogabench.tables.cells import Cell
    from mogabench.tables.join import JoinedRow, JoinedTable

_PIPE_WIDTH = 200
_EXPLANATIONS = ("convention", "command", "erratum", "account", "caveat")
_LATEX = {
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
    "²": "$^2$", "×": r"$\times$", "‡": r"$^\ddagger$", "†": r"$^\dagger$", "§": r"$^\S$",
    "↓": r"$\downarrow$", "↑": r"$\uparrow$", "Δ": r"$\Delta$", "—": "---",
    "₅": "$_5$", "₀": "$_0$", "₇": "$_7$", "±": r"$\pm$", "≈": r"$\approx$",
    "✓": r"\checkmark{}", "✗": r"$\times$",
}  # fmt: skip


def render_terminal(tables: Sequence[JoinedTable]) -> str:
    """Tables for a terminal, as wide as it is; unexplained differences in red."""
    from rich.console import Console

    stream, screen = io.StringIO(), Console()
    width = screen.width if screen.is_terminal else _PIPE_WIDTH
    console = Console(file=stream, width=width, force_terminal=screen.is_terminal, highlight=False)
    for table in tables:
        _print_grid(console, to_grid(table, brief=screen.is_terminal))
    if len(tables) > 1:
        console.print("\n".join(filter(None, total_lines(tables))), markup=False, soft_wrap=True)
    return stream.getvalue().rstrip("\n")


def render_markdown(tables: Sequence[JoinedTable]) -> str:
    """GitHub Markdown; unexplained differences are bold."""
    texts = [_markdown(to_grid(table)) for table in tables]
    return "\n\n".join([*texts, *(["\n".join(total_lines(tables))] if len(tables) > 1 else [])])


def render_csv(tables: Sequence[JoinedTable]) -> str:
    """Long CSV: one line per measured cell, the fields of the JSON form."""
    stream = io.StringIO()
    entries = json_entries(tables)
    writer = csv.DictWriter(stream, fieldnames=list(_entry_fields()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(entries)
    return stream.getvalue().rstrip("\n")


def render_latex(tables: Sequence[JoinedTable]) -> str:
    """A ``tabular`` per table, for ``booktabs``."""
    return "\n\n".join(_latex(to_grid(table)) for table in tables)


def render_html(tables: Sequence[JoinedTable]) -> str:
    """A whole HTML page."""
    body = "\n".join(_html(to_grid(table)) for table in tables)
    return (
        "<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>mogabench</title>\n"
        "<style>body{font:14px sans-serif}table{border-collapse:collapse}"
        "th,td{padding:2px 8px;border-bottom:1px solid #ddd}.n{text-align:right}"
        ".unexplained,.below{color:#c00;font-weight:bold}.known_reason{color:#a60}"
        ".within_tolerance,.within_noise{color:#06a}"
        ".not_measured,.other_device{color:#999}</style>\n"
        f"{body}\n</html>"
    )


def render_json(tables: Sequence[JoinedTable]) -> str:
    """A list with one object per measured cell."""
    return json.dumps(json_entries(tables), ensure_ascii=False, indent=1)


RENDERERS: dict[str, Callable[[Sequence[JoinedTable]], str]] = {
    "terminal": render_terminal,
    "markdown": render_markdown,
    "csv": render_csv,
    "latex": render_latex,
    "html": render_html,
    "json": render_json,
}


def json_entries(tables: Sequence[JoinedTable]) -> list[dict[str, Any]]:
    """Every cell that holds a figure, with its printed and its measured number."""
    return [
        _entry(table, row, cell)
        for table in tables
        for row in table.rows
        for cell in row.cells
        if cell.status is not None or cell.measured is not None
    ]


def _entry(table: JoinedTable, row: JoinedRow, cell: Cell) -> dict[str, Any]:
    values = (
        table.paper.id,
        row.row.index,
        row.row.label,
        cell.column.head,
        cell.paper,
        cell.measured,
        cell.unit,
        cell.status,
        cell.convention,
        cell.command,
        cell.erratum,
        cell.account,
        cell.caveat,
    )
    return dict(zip(_entry_fields(), values, strict=True))


def _entry_fields() -> tuple[str, ...]:
    about = ("table", "row_index", "row", "column")
    return (*about, "paper", "measured", "unit", "status", *_EXPLANATIONS)


def _print_grid(console: Any, grid: Grid) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text as RichText

    styles = {
        Status.ROUNDS: "green",
        Status.WITHIN_TOLERANCE: "cyan",
        Status.KNOWN_REASON: "yellow",
        Status.UNEXPLAINED: "bold red",
        Status.REPRODUCED: "green",
        Status.WITHIN_NOISE: "cyan",
        Status.BELOW: "bold red",
        Status.ABOVE: "bold",
        Status.OTHER_DEVICE: "dim",
        Status.NOT_MEASURED: "dim",
        None: "",
    }
    table = Table(title=grid.title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    widths = _column_widths(grid, console.width)
    for head, numeric, width in zip(grid.heads, grid.numeric, widths, strict=True):
        table.add_column(head, justify="right" if numeric else "left", width=width)
    for row, added in zip(grid.rows, grid.added, strict=True):
        table.add_row(
            *(RichText(_with_marks(text), styles[text.status]) for text in row),
            style="bold" if added else "",
        )
    screen = console.width
    console.width = max(screen, sum(widths) + len(widths) + 1)
    console.print(table)
    console.width = screen
    for number, note in enumerate(grid.footnotes, start=1):
        console.print(f"[{number}] {note}", style="dim", markup=False, soft_wrap=True)
    console.print(grid.summary, markup=False, soft_wrap=True)
    console.print()


def _column_widths(grid: Grid, screen: int) -> list[int]:
    """Widths that hold every field whole; heads wrap at spaces where the screen is narrow."""
    fields = [max(len(_with_marks(row[n])) for row in grid.rows) for n in range(len(grid.heads))]
    whole = [max(field, len(head)) for field, head in zip(fields, grid.heads, strict=True)]
    if sum(whole) + len(whole) < screen:
        return whole
    words = [max(map(len, head.split())) for head in grid.heads]
    return [max(pair) for pair in zip(fields, words, strict=True)]


def _with_marks(text: Text) -> str:
    mark = "!" if text.status == Status.UNEXPLAINED else ""
    return text.text + mark + "".join(f"[{number}]" for number in text.footnotes)


def _markdown(grid: Grid) -> str:
    def line(fields: list[str]) -> str:
        return "| " + " | ".join(field.replace("|", r"\|") for field in fields) + " |"

    def show(text: Text) -> str:
        shown = f"**{text.text}**" if text.status == Status.UNEXPLAINED else text.text
        return shown + "".join(f"<sup>{number}</sup>" for number in text.footnotes)

    lines = [f"## {grid.title}", "", line(grid.heads)]
    lines.append(line(["---:" if numeric else ":---" for numeric in grid.numeric]))
    lines += [line([show(text) for text in row]) for row in grid.rows]
    lines += ["", *(f"{n}. {note}" for n, note in enumerate(grid.footnotes, start=1))]
    lines += [""] * bool(grid.footnotes) + grid.summary.split("\n")
    return "\n".join(lines)


def _latex(grid: Grid) -> str:
    def clean(text: str) -> str:
        return "".join(_LATEX.get(character, character) for character in text)

    def show(text: Text) -> str:
        marks = ",".join(map(str, text.footnotes))
        shown = clean(text.text) + (f"$^{{{marks}}}$" if marks else "")
        return rf"\textbf{{{shown}}}" if text.status == Status.UNEXPLAINED else shown

    columns = "".join("r" if numeric else "l" for numeric in grid.numeric)
    lines = [rf"% {grid.title}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [" & ".join(map(clean, grid.heads)) + r" \\", r"\midrule"]
    lines += [" & ".join(map(show, row)) + r" \\" for row in grid.rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [f"% {number}. {note}" for number, note in enumerate(grid.footnotes, start=1)]
    return "\n".join(lines)


def _html(grid: Grid) -> str:
    def show(text: Text, numeric: bool) -> str:
        classes = " ".join(filter(None, ["n" * numeric, text.status]))
        marks = "".join(f"<sup>{number}</sup>" for number in text.footnotes)
        hover = f" title='{html.escape(text.hover)}'" if text.hover else ""
        return f"<td class='{classes}'{hover}>{html.escape(text.text)}{marks}</td>"

    lines = [f"<h2>{html.escape(grid.title)}</h2>", "<table>", "<tr>"]
    lines += [f"<th>{html.escape(head)}</th>" for head in grid.heads]
    for row in grid.rows:
        fields = zip(row, grid.numeric, strict=True)
        lines.append("<tr>" + "".join(show(text, numeric) for text, numeric in fields))
    lines += ["</table>", "<ol>", *(f"<li>{html.escape(note)}" for note in grid.footnotes), "</ol>"]
    lines.append(f"<p>{html.escape(grid.summary).replace(chr(10), '<br>')}")
    return "\n".join(lines)

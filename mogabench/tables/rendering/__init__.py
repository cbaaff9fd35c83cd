"""The renderers: tables as text of some format, a module each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.files import write_whole
from mogabench.tables.rendering.entries import render_csv, render_json, render_parquet
from mogabench.tables.rendering.html import render_html
from mogabench.tables.rendering.latex import render_latex
from mogabench.tables.rendering.markdown import render_markdown
from mogabench.tables.rendering.terminal import render_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mogabench.tables.join import JoinedTable

__all__ = ["ENDINGS", "RENDERERS", "render_terminal", "write_tables"]

RENDERERS: dict[str, Callable[[Sequence[JoinedTable]], str]] = {
    "text": render_terminal,
    "markdown": render_markdown,
    "csv": render_csv,
    "latex": render_latex,
    "html": render_html,
    "json": render_json,
}
"""The formats of text by name."""

ENDINGS = {
    ".txt": "text",
    ".md": "markdown",
    ".csv": "csv",
    ".tex": "latex",
    ".html": "html",
    ".json": "json",
    ".parquet": "parquet",
}
"""A format's name by the ending of a file."""


def write_tables(tables: Sequence[JoinedTable], file: Path, output_format: str) -> None:
    """Writes tables to a file, the whole of it or nothing.

    Args:
        tables: What to write.
        file: Where to.
        output_format: One of the names in `ENDINGS`.

    Raises:
        UserError: Parquet needs a package that is not installed.
    """
    if output_format == "parquet":
        write_whole(file, render_parquet(tables))
    else:
        write_whole(file, RENDERERS[output_format](tables) + "\n")

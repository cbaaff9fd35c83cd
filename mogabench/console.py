"""What a person sees: results on standard output, everything else on standard error.

All that the library has to say goes through the logger ``mogabench``. The command line shows it
with `show_messages`; a program that uses the library may silence or redirect it as any logger.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

LOG = logging.getLogger("mogabench")

_PIPE_WIDTH = 160
"""Columns of a table that goes to a file or a pipe, which has no width of its own."""


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is at the moment."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def show_messages() -> None:
    """Shows the library's messages on standard error, each as a plain line."""
    if not any(isinstance(handler, _StandardError) for handler in LOG.handlers):
        LOG.addHandler(_StandardError())
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


def print_error(text: object) -> None:
    """Shows a user's mistake as a line on standard error."""
    print(f"mogabench: {text}", file=sys.stderr)


def print_line(text: str) -> None:
    """Prints a line of a result, which a narrow terminal wraps."""
    print(text)


def print_json(content: Any) -> None:
    """Prints plain data as JSON for machines."""
    print(json.dumps(content, ensure_ascii=False, indent=1))


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Prints headings with their texts beside them, wrapped, and an empty line."""
    import shutil
    import textwrap

    margin = max(len(heading) for heading, _ in pairs) + 2
    width = max(shutil.get_terminal_size().columns - 1, margin + 20)
    for heading, text in pairs:
        wrapped = textwrap.wrap(text, width - margin, break_long_words=False)
        print(f"{heading:<{margin}}" + ("\n" + " " * margin).join(wrapped))
    print()


def print_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """Prints a table; a terminal that is too narrow breaks fields, and none is cut short.

    Args:
        heads: The heads of the columns.
        rows: The fields of each row; rich's markup is not interpreted.
        right: The heads of the columns that align to the right.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    columns = (
        Column(head, overflow="fold", justify="right" if head in right else "left")
        for head in heads
    )
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)

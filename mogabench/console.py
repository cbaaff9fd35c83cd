"""What a person sees: results on standard output, everything else on standard error.

All that the library has to say goes through the logger ``mogabench``. The command line shows it
with `show_messages`; a program that uses the library may silence or redirect it as any logger.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, TextIO

from mogabench.escaping import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

LOG = logging.getLogger("mogabench")


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is at the moment."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))

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
    print(f"mogabench: {printable(str(text))}", file=sys.stderr)


def print_line(text: str) -> None:
    """Prints a line of a result, broken at spaces on a terminal that is too narrow."""
    print("\n".join(wrap(text, screen_width(), indent="  ")))


def print_json(content: Any) -> None:
    """Prints plain data as JSON for machines."""
    print(json.dumps(content, ensure_ascii=False, indent=1))


def screen_width() -> int | None:
    """Columns of the terminal; None for a file or a pipe, which has no width of its own."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrap(text: str, width: int | None, *, indent: str = "") -> list[str]:
    """Prose as lines that are broken at spaces.

    Args:
        text: The prose.
        width: Of the screen; None for one whole line, as in a file or a pipe.
        indent: What begins the lines after the first.
    """
    shown = printable(text)
    if width is None or len(shown) <= width:
        return [shown]
    return textwrap.wrap(
        shown, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def page(text: str, *, quiet: bool = False) -> None:
    """Prints a text, through the user's pager where it is longer than the terminal.

    Args:
        text: The text.
        quiet: Never use a pager.
    """
    is_long = text.count("\n") + 1 >= shutil.get_terminal_size().lines
    if is_long and sys.stdout.isatty() and not quiet:
        import pydoc

        os.environ.setdefault("LESS", "FRX")  # as git does: colours, and no screen of its own
        pydoc.pager(text)
    else:
        print(text)


def has_colour() -> bool:
    """Whether to colour: a terminal, unless ``NO_COLOR`` is set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Prints headings with their texts beside them, wrapped on a terminal, and an empty line."""
    margin = max(len(heading) for heading, _ in pairs) + 2
    for heading, text in pairs:
        line = f"{heading:<{margin}}{text}"
        print("\n".join(wrap(line, screen_width(), indent=" " * margin)))
    print()


def print_table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    prose: Sequence[str] = (),
) -> None:
    """Prints a table; where a terminal is too narrow each row is stacked.

    Args:
        heads: The heads of the columns.
        rows: The fields of each row.
        right: The heads of the columns that align to the right.
        prose: The heads of the columns whose fields may be broken at spaces.
    """
    from mogabench.columns import Column, lay_out

    fields = list(zip(*rows, strict=True)) or [()] * len(heads)
    columns = [
        Column(head, texts, right=head in right, prose=head in prose)
        for head, texts in zip(heads, fields, strict=True)
    ]
    print("\n".join(lay_out(columns, screen_width())))

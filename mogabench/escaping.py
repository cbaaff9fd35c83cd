"""Names from files and users, made harmless for where they are shown."""

from __future__ import annotations

import shlex
import unicodedata
from typing import Any

_CONTROLS = ("Cc", "Cs")
"""Unicode's categories of control characters and of halves of surrogate pairs."""

_REVERSING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
"""Characters that change the direction of the text after them, and so what it seems to say."""

_KEPT = "\n\t"
_FORMULA = ("=", "@", "\t", "\r")
"""What a cell begins with that spreadsheets take for a formula."""

_SIGNED, _CALLS = ("+", "-"), "!|"
"""A cell with a sign, such as ``+Multi-order``, does something only where it calls something."""


def printable(text: str) -> str:
    r"""The text with control characters written out, such as ``\x1b``, for terminals and logs."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_written_out, text))


def without_controls(text: str) -> str:
    """A whole page without the control characters that `printable` would write out."""
    dropped = {ord(character) for character in set(text) if printable(character) != character}
    return text.translate(dict.fromkeys(dropped))


def markdown_text(text: str) -> str:
    """The text for a place in Markdown where HTML would count."""
    return " ".join(printable(text).splitlines()).replace("&", "&amp;").replace("<", "&lt;")


def markdown_field(text: str) -> str:
    """The text for a field of a Markdown table."""
    return markdown_text(text).replace("|", r"\|")


def markdown_code(text: str) -> str:
    """The text as a span of code in Markdown, also where it holds backticks."""
    shown, fence = " ".join(printable(text).splitlines()), "`"
    while fence in shown:
        fence += "`"
    pad = " " if "`" in (shown[:1], shown[-1:]) else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def csv_field(value: Any) -> Any:
    """The value for a CSV file: a text that a spreadsheet would take for a formula is quoted."""
    if not isinstance(value, str):
        return value
    shown = printable(value)
    calls = shown.startswith(_SIGNED) and any(mark in shown for mark in _CALLS)
    return f"'{shown}" if shown.startswith(_FORMULA) or calls else shown


def command_line(*words: object) -> str:
    """A ``mogabench`` command to copy into a shell, with quotes where a name needs them."""
    return shlex.join(["mogabench", *map(str, words)])


def _written_out(character: str) -> str:
    is_control = unicodedata.category(character) in _CONTROLS or ord(character) in _REVERSING
    if not is_control or character in _KEPT:
        return character
    return character.encode("unicode_escape", errors="surrogatepass").decode()

"""Reading the numbers that a paper prints."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?\d+(?:\.(\d+))?")


def printed_value(text: str) -> float | None:
    """The number in a cell, or None where the cell is not one plain number."""
    return float(text) if _NUMBER.fullmatch(text) else None


def decimals(text: str) -> int:
    """How many digits a printed number has after the point.

    Raises:
        ValueError: The text is not a plain number.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a plain number")
    return len(match[1] or "")


def printed_size(text: str) -> tuple[int, ...]:
    """The sides of an input: ``(224, 224)`` for ``224²``, ``(10, 1, 64, 64)`` for ``10x1x64x64``.

    Returns:
        The sides in pixels; none for an empty text.

    Raises:
        ValueError: The text is not a size.
    """
    if text.endswith("²"):
        return (int(text[:-1]),) * 2
    return tuple(map(int, text.split("x"))) if text else ()

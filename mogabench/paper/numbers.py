"""Reading the numbers that a paper prints, which may carry a unit: ``28M``, ``4.5G``, ``82.1%``."""

from __future__ import annotations

import re
from typing import NamedTuple

from mogabench.sizes import is_size

SCALE = {"K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}
"""What the units of parameters and operations stand for."""

_NUMBER = re.compile(rf"([+-]?\d+(?:\.(\d+))?)(?:\s?([{''.join(SCALE)}%]))?")


class Printed(NamedTuple):
    """A printed number.

    Attributes:
        digits: The number without its unit, as printed.
        decimals: How many digits it has after the point.
        unit: The unit behind it; empty for none.
    """

    digits: str
    decimals: int
    unit: str


def read_number(text: str) -> Printed | None:
    """The number in a cell, or None where the cell is not one number."""
    match = _NUMBER.fullmatch(text)
    return Printed(match[1], len(match[2] or ""), match[3] or "") if match else None


def printed_value(text: str) -> float | None:
    """The number in a cell, in its unit, or None where the cell is not one number."""
    number = read_number(text)
    return None if number is None else float(number.digits)


def decimals(text: str) -> int:
    """How many digits a printed number has after the point.

    Raises:
        ValueError: The text is not a number.
    """
    number = read_number(text)
    if number is None:
        raise ValueError(f"'{text}' is not a plain number")
    return number.decimals


def printed_size(text: str) -> tuple[int, ...]:
    """The sides of an input: ``(224, 224)`` for ``224²``, ``(10, 1, 64, 64)`` for ``10x1x64x64``.

    Returns:
        The sides in pixels; none for an empty text.

    Raises:
        ValueError: The text is not a size.
    """
    try:
        is_square = text.endswith("²")
        sides = (int(text[:-1]),) * 2 if is_square else tuple(map(int, re.split("[x×]", text)))
    except ValueError:
        sides = ()
    if text and not is_size(sides):
        raise ValueError(f"'{text}' is not a size such as 224x224")
    return sides

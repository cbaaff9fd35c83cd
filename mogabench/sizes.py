"""Input sizes in pixels, as commands write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOO_LARGE = 2**16
"""No side of an image: PyTorch fails on far larger ones in its own words."""


def is_size(sides: Sequence[int]) -> bool:
    """Whether these can be the sides of an input, in pixels."""
    return bool(sides) and all(0 < side < _TOO_LARGE for side in sides)


def parse_size(text: str) -> tuple[int, ...]:
    """Reads ``"224x224"`` or ``"10x1x64x64"`` as integers; a single number is a square.

    Raises:
        ValueError: The text is not positive integers below 65536 separated by ``x``.
    """
    parts = [int(part) for part in text.lower().replace("×", "x").split("x")]
    if not is_size(parts):
        raise ValueError(f"'{text}' is not a size such as 224 or 800x1280")
    return (parts[0], parts[0]) if len(parts) == 1 else tuple(parts)

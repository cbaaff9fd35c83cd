"""Input sizes in pixels, as commands write them."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TOO_LARGE = 2**16
"""No side of an image: PyTorch fails on far larger ones in its own words."""


def is_size(sides: Sequence[int]) -> bool:
    """Whether these can be the sides of an input, in pixels."""
    return bool(sides) and all(0 < side < _TOO_LARGE for side in sides)


def read_size(text: str, example: Sequence[int] = (224, 224)) -> tuple[int, ...]:
    """The input size that ``--size`` says: ``224x224``, ``10x1x64x64``, or one number for a square.

    Args:
        text: Positive integers below 65536 separated by ``x``.
        example: A size that would be right, for the message.

    Raises:
        UserError: The text is not a size.
    """
    try:
        parts = [int(part) for part in text.lower().replace("×", "x").split("x")]
    except ValueError:
        parts = []
    if not is_size(parts):
        right = "x".join(map(str, example))
        raise UserError(f"--size {text} is not a size such as {right}")
    return (parts[0], parts[0]) if len(parts) == 1 else tuple(parts)


def check_size(sides: Iterable[int], example: Sequence[int], kind: str) -> tuple[int, ...]:
    """An input size, which has as many sides as an example.

    Args:
        sides: Integers of Python or NumPy, in pixels.
        example: A size that would be right.
        kind: What it is the size of, for the message.

    Raises:
        UserError: It is no such size.
    """
    try:
        size = tuple(map(index, sides))
    except TypeError:  # not integers, or not several
        size = ()
    if not is_size(size) or len(size) != len(example):
        wrong, right = "x".join(map(str, size)) or repr(sides), "x".join(map(str, example))
        raise UserError(f"{wrong} is not a size of {kind}, such as {right}")
    return size

"""How a module lays out the positions of an image in its output."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_MOST_PREFIX_TOKENS = 8
"""Class, distillation and register tokens before those of the image."""


class Grid(NamedTuple):
    """The layout of an output of one image.

    Attributes:
        layout: ``NCHW``, ``NHWC`` or ``NLC``.
        rows: Positions from top to bottom.
        columns: Positions from left to right.
        prefix: Tokens before those of the image, in ``NLC``.
    """

    layout: str
    rows: int
    columns: int
    prefix: int = 0

    def maps(self, output: Tensor) -> Tensor:
        """An output as maps ``(N, C, rows, columns)``."""
        if self.layout == "NCHW":
            return output
        if self.layout == "NHWC":
            return output.movedim(-1, 1)
        tokens = output[:, self.prefix :].movedim(-1, 1)
        return tokens.reshape(*tokens.shape[:2], self.rows, self.columns)


def find_grid(
    shape: Sequence[int],
    size: tuple[int, int],
    layout: str = "NCHW",
) -> Grid | None:
    """The layout of an output, by its shape.

    The rows and columns are those of a stride that both axes share, rounded either way. Among
    tokens the grid is the largest one that leaves a few tokens before it.

    Args:
        shape: Of the output for one image.
        size: ``(H, W)`` of the image.
        layout: What 4-D outputs are where both layouts fit.

    Returns:
        None where the output is no map of more than one position.
    """
    if len(shape) not in (3, 4) or shape[0] != 1:
        return None
    grids = _grids(size)
    if len(shape) == 3:
        for prefix in range(_MOST_PREFIX_TOKENS + 1):
            for rows, columns in grids:
                if rows * columns == shape[1] - prefix:
                    return Grid("NLC", rows, columns, prefix)
        return None
    found = {
        name: Grid(name, shape[first], shape[first + 1])
        for name, first in (("NCHW", 2), ("NHWC", 1))
        if (shape[first], shape[first + 1]) in grids
    }
    return found.get(layout) or next(iter(found.values()), None)


def _grids(size: tuple[int, int]) -> list[tuple[int, int]]:
    """The grids of more than one position that an image may be reduced to, the finest first."""
    height, width = size
    grids = {
        (rows(height / stride), columns(width / stride)): None
        for stride in range(1, max(size) + 1)
        for rows in (ceil, int)
        for columns in (ceil, int)
    }
    return [(rows, columns) for rows, columns in grids if rows * columns > 1]

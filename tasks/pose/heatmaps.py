"""Key points as heat maps, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mogabench.data.views import Array

Encoding = Literal["unbiased", "rounded"]
Decoding = Literal["quarter_pixel", "taylor"]

SIGMA = 2.0
"""Of the Gaussians that the released networks were taught, in cells."""

_REACH = 3
"""A rounded Gaussian ends after so many sigmas."""


def encode(
    points: Array,
    labelled: NDArray[np.bool_],
    shape: tuple[int, int],
    *,
    sigma: float,
    encoding: Encoding = "unbiased",
) -> tuple[Array, Array]:
    """A Gaussian of height 1 around each key point.

    Args:
        points: ``(K, 2)``, x and y in cells; the centre of the first cell is at 0.
        labelled: ``(K,)``.
        shape: ``(height, width)`` of the maps, in cells.
        sigma: Of the Gaussians, in cells.
        encoding: ``unbiased`` puts the Gaussian where the point is (Zhang et al., 2020, DARK);
            ``rounded`` at the nearest cell and ends it after three sigmas (Xiao et al., 2018).

    Returns:
        Maps ``(K, height, width)``, empty for points without a weight, and weights ``(K,)``: 1 for
        a labelled point whose Gaussian reaches the map, else 0.
    """
    height, width = shape
    nearest = np.floor(points + 0.5)
    reach = _REACH * sigma
    inside = (nearest >= -reach) & (nearest <= np.array([width - 1, height - 1]) + reach)
    weights = (labelled & inside.all(1)).astype(float)
    centers = nearest if encoding == "rounded" else points
    x = np.arange(width) - centers[:, :1]
    y = np.arange(height) - centers[:, 1:]
    along_x, along_y = (np.exp(-(axis**2) / (2 * sigma**2)) for axis in (x, y))
    if encoding == "rounded":
        along_x, along_y = along_x * (abs(x) <= reach), along_y * (abs(y) <= reach)
    return along_y[:, :, None] * along_x[:, None, :] * weights[:, None, None], weights


def decode(
    heatmaps: Tensor, decoding: Decoding = "quarter_pixel", *, sigma: float = SIGMA
) -> Tensor:
    """The highest place of each map, refined within its cell.

    Args:
        heatmaps: ``(N, K, H, W)``.
        decoding: ``quarter_pixel`` moves it a quarter of a cell towards the higher neighbour, along
            each axis (Xiao et al., 2018); ``taylor`` to the top of a Gaussian through its
            neighbours, after smoothing (Zhang et al., 2020, DARK).
        sigma: Of the Gaussians that the maps were taught, in cells: ``taylor`` smooths by it.

    Returns:
        ``(N, K, 3)``: x and y in cells, and the height of the map there.
    """
    width = heatmaps.shape[-1]
    scores, places = heatmaps.flatten(2).max(2)
    x, y = places % width, places // width
    is_taylor = decoding == "taylor"
    moves = _taylor(heatmaps, x, y, sigma) if is_taylor else _quarter_pixel(heatmaps, x, y)
    return torch.stack([x + moves[..., 0], y + moves[..., 1], scores], dim=-1)


def _quarter_pixel(heatmaps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    at = _reader(heatmaps, x, y)
    slopes = torch.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], dim=-1)
    return 0.25 * slopes.sign() * _is_inner(heatmaps, x, y, 1)


def _taylor(heatmaps: Tensor, x: Tensor, y: Tensor, sigma: float) -> Tensor:
    """Newton's step on the logarithm of the map, which is a parabola for a Gaussian."""
    smooth = _smooth(heatmaps, sigma)
    at = _reader(smooth.clamp(min=1e-10).log(), x, y)
    slopes = torch.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], dim=-1) / 2
    bend_x = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4
    bend_y = (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    twist = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    determinant = bend_x * bend_y - twist**2
    steps = torch.stack(
        [
            twist * slopes[..., 1] - bend_y * slopes[..., 0],
            twist * slopes[..., 0] - bend_x * slopes[..., 1],
        ],
        dim=-1,
    )
    solvable = (determinant != 0)[..., None] & _is_inner(heatmaps, x, y, 2)
    return torch.where(solvable, steps / determinant[..., None], 0.0)


def _smooth(heatmaps: Tensor, sigma: float) -> Tensor:
    """The maps, empty around, blurred with the kernel that OpenCV has for about that sigma.

    It has 11 cells for a sigma of 2 and 17 for 3, as in mmpose 0.x.
    """
    rim = max(round((sigma - 0.8) / 0.3 + 1), 1)
    padded = torch.nn.functional.pad(heatmaps, [rim] * 4)
    smooth: Tensor = gaussian_blur(padded, [2 * rim + 1] * 2)
    return smooth[..., rim:-rim, rim:-rim]


def _reader(maps: Tensor, x: Tensor, y: Tensor) -> Callable[[int, int], Tensor]:
    """Gives the maps' values ``(N, K)`` beside the places; at the edge, the edge's own."""
    height, width = maps.shape[-2:]

    def at(right: int, down: int) -> Tensor:
        column, row = (x + right).clamp(0, width - 1), (y + down).clamp(0, height - 1)
        return maps.flatten(2).gather(2, (row * width + column)[..., None])[..., 0]

    return at


def _is_inner(maps: Tensor, x: Tensor, y: Tensor, margin: int) -> Tensor:
    """``(N, K, 1)``: whether the place is two cells from the first and ``margin`` from the last."""
    height, width = maps.shape[-2:]
    inner = (x > 1) & (x < width - margin) & (y > 1) & (y < height - margin)
    return inner[..., None]

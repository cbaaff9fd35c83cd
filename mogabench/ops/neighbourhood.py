"""Weighted sums over the neighbours of each cell of a map, all of which lie within the map.

A cell's neighbours are the window centred on it, moved inwards where it would cross the border
(neighbourhood attention, Hassani et al., CVPR 2023).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence


def mix_neighbours(weights: Tensor, values: Tensor, kernel_size: int) -> Tensor:
    """Sums each cell's neighbours with weights of its own.

    Args:
        weights: ``(N, G, H, W, K*K)``.
        values: ``(N, G, C, H, W)``, with neither side below ``K``.
        kernel_size: ``K``, the side of the window, odd.

    Returns:
        The sums ``(N, G, C, H, W)``.
    """
    rows, columns = (
        _window_starts(length, kernel_size, values.device) for length in values.shape[-2:]
    )
    windows = values.unfold(-2, kernel_size, 1).unfold(-2, kernel_size, 1)
    windows = windows.permute(0, 1, 3, 4, 2, 5, 6)[:, :, rows[:, None], columns].flatten(-2)
    return (windows @ weights[..., None])[..., 0].permute(0, 1, 4, 2, 3)


def neighbour_biases(table: Tensor, size: Sequence[int]) -> Tensor:
    """Each neighbour's bias by where it lies as seen from the cell.

    Args:
        table: Biases of the offsets from ``1 - K`` to ``K - 1``, ``(G, 2K - 1, 2K - 1)``.
        size: ``(H, W)`` of the map.

    Returns:
        The biases ``(G, H, W, K*K)``.
    """
    kernel_size = (table.shape[-1] + 1) // 2
    rows, columns = (_offsets(length, kernel_size, table.device) for length in size)
    return table[:, rows[:, None, :, None], columns[None, :, None, :]].flatten(-2)


def _offsets(length: int, kernel_size: int, device: torch.device) -> Tensor:
    """Each cell's neighbours along one side as indices of the table ``(length, K)``."""
    first = _window_starts(length, kernel_size, device) - torch.arange(length, device=device)
    return first[:, None] + torch.arange(kernel_size, device=device) + (kernel_size - 1)


def _window_starts(length: int, kernel_size: int, device: torch.device) -> Tensor:
    """The first neighbour of each cell along one side ``(length,)``."""
    centred = torch.arange(length, device=device) - kernel_size // 2
    return centred.clamp(0, length - kernel_size)

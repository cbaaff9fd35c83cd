"""Similarity alignment, and the errors that are left after it: PA-MPJPE and PA-MPVPE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Similarity:
    """Points ``p`` go to ``scale * rotation @ p + shift``; batches have ``N`` of each.

    Attributes:
        scale: ``(N,)``, not negative.
        rotation: ``(N, 3, 3)``, without reflection.
        shift: ``(N, 3)``.
    """

    scale: Array
    rotation: Array
    shift: Array

    def __call__(self, points: Array) -> Array:
        """Moves points ``(N, K, 3)``."""
        turned = points @ self.rotation.swapaxes(1, 2)
        moved: Array = self.scale[:, None, None] * turned + self.shift[:, None]
        return moved


def best_similarity(points: Array, targets: Array) -> Similarity:
    """What brings points nearest to their targets, in least squares (Umeyama, 1991).

    Args:
        points: ``(N, K, 3)``.
        targets: The same.
    """
    middle, target_middle = points.mean(1), targets.mean(1)
    centred, target_centred = points - middle[:, None], targets - target_middle[:, None]
    left, strengths, right = np.linalg.svd(target_centred.swapaxes(1, 2) @ centred)
    signs = np.ones_like(strengths)
    signs[:, -1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = left * signs[:, None] @ right
    spread = (centred**2).sum((1, 2))
    # All points in one place have no direction and no size to compare.
    fits = (strengths * signs).sum(1)
    scale = np.divide(fits, spread, out=np.zeros_like(spread), where=spread > 0)
    shift = target_middle - scale[:, None] * np.einsum("nij,nj->ni", rotation, middle)
    return Similarity(scale, rotation, shift)


def aligned_errors(points: Array, targets: Array) -> Array:
    """The mean distance of each sample's points from their targets after alignment.

    Args:
        points: ``(N, K, 3)``: joints for PA-MPJPE, vertices for PA-MPVPE.
        targets: The same.

    Returns:
        ``(N,)``, in the points' unit.
    """
    left_over = best_similarity(points, targets)(points) - targets
    errors: Array = np.linalg.norm(left_over, axis=-1).mean(-1)
    return errors

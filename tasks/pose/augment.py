"""Random views of a person: as mmpose 0.x augments for SimpleBaseline on COCO."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mogabench.data.views import View
from mogabench.tasks.pose.skeleton import UPPER_BODY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mogabench.data.views import Array
    from mogabench.tasks.pose.recipe import PoseAugment

_HALF_BODY_FROM = 8
"""Persons with more labelled key points than that may be shown in half."""

_HALF_BODY_PADDING = 1.5

_FEWEST = 3
"""Key points that a lower body must have."""


def random_view(view: View, keypoints: Array, size: tuple[int, int], augment: PoseAugment) -> View:
    """Another view of the same person, drawn from NumPy's generator.

    Args:
        view: Around the person's box.
        keypoints: ``(17, 3)`` in the image: x, y, above 0 for labelled.
        size: ``(height, width)`` of the network's input.
        augment: How far to go.
    """
    draw = np.random
    if draw.random() < augment.shift_prob:
        x, y = draw.uniform(-augment.shift, augment.shift, 2)
        view = view.move_by(x * view.width, y * view.height(size))
    view = replace(view, mirrored=bool(draw.random() < augment.flip))
    labelled = keypoints[:, 2] > 0
    if labelled.sum() > _HALF_BODY_FROM and draw.random() < augment.half_body:
        half = keypoints[_half(labelled), :2]
        x, y = map(float, half.mean(0))
        around = View.around(_box_around(half), size, _HALF_BODY_PADDING)
        if around.width > 0:  # else all points are in one place
            view = replace(around, center=(x, y), mirrored=view.mirrored)
    return view.jitter(augment.scale, augment.rotation, augment.rotation_prob)


def _half(labelled: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which key points of one half are labelled; a mask ``(17,)``.

    The upper one more often, as mmpose draws it, and wherever the lower one has too few; more than
    eight leave it at least three.
    """
    is_upper = np.arange(len(labelled)) < UPPER_BODY.stop
    upper, lower = labelled & is_upper, labelled & ~is_upper
    takes_upper = np.random.standard_normal() < 0.5 or lower.sum() < _FEWEST
    return upper if takes_upper else lower


def _box_around(points: Array) -> Array:
    low, high = points.min(0), points.max(0)
    return np.concatenate([low, high - low])

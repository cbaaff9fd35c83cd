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
"""Key points that half a body must have."""


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
        part = _half(labelled)
        box = _box_around(keypoints[part, :2])
        view = replace(View.around(box, size, _HALF_BODY_PADDING), mirrored=view.mirrored)
    return view.jitter(augment.scale, augment.rotation, augment.rotation_prob)


def _half(labelled: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which key points of one half are labelled; a mask ``(17,)``.

    Either half is as likely, but the other one is taken where it has too few.
    """
    is_upper = np.arange(len(labelled)) < UPPER_BODY.stop
    upper, lower = labelled & is_upper, labelled & ~is_upper
    wanted, other = (upper, lower) if np.random.random() < 0.5 else (lower, upper)
    chosen: NDArray[np.bool_] = wanted if wanted.sum() >= _FEWEST else other
    return chosen


def _box_around(points: Array) -> Array:
    low, high = points.min(0), points.max(0)
    return np.concatenate([low, high - low])

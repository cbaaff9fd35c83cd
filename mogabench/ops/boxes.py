"""Overlaps of boxes and three ways to suppress those that overlap a better one.

A box is ``(x1, y1, x2, y2)`` in pixels. With ``offset`` 1 the last pixel belongs to the box, so
that it is ``x2 - x1 + 1`` wide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torchvision.ops import nms as torchvision_nms

from mogabench.ops.precision import widen

if TYPE_CHECKING:
    from torch import Tensor

_LINEAR, _GAUSSIAN = 1, 2
"""Soft-NMS's ways to lower a score; the third, 0, makes it zero."""


def nms(boxes: Tensor, scores: Tensor, *, iou_threshold: float, offset: int) -> Tensor:
    """Greedy non-maximum suppression of boxes ``(N, 4)`` that overlap by more than the threshold.

    Returns:
        Indices of the boxes that stay, the best score first.
    """
    boxes, scores = widen(_close(boxes, offset), scores)
    kept: Tensor = torchvision_nms(boxes, scores, iou_threshold)
    return kept


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    *,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS (Bodla et al., ICCV 2017): lowers the scores of boxes that overlap a better one.

    Args:
        boxes: Boxes ``(N, 4)``.
        scores: Their scores ``(N,)``.
        dets: Gets the boxes that stay and their scores at the time, ``(N, 5)``.
        iou_threshold: From this overlap on ``method`` 0 and 1 lower a score.
        sigma: Width of ``method`` 2, which lowers a score by ``exp(-iou² / sigma)``.
        min_score: A box that falls below it is dropped.
        method: 0 sets a score to zero, 1 lowers it by ``1 - iou``, 2 is Gaussian.
        offset: See the module.

    Returns:
        Indices of the boxes that stay, in the order of ``dets``.
    """
    overlaps = _pairwise(boxes, boxes, offset)
    if method == _GAUSSIAN:
        factors = torch.exp(-(overlaps**2) / sigma)
    else:
        lowered = 1 - overlaps if method == _LINEAR else torch.zeros_like(overlaps)
        factors = torch.where(overlaps >= iou_threshold, lowered, 1.0)
    left, alive = scores, torch.ones_like(scores, dtype=torch.bool)
    order: list[int] = []
    while alive.any():
        best = int(torch.where(alive, left, -torch.inf).argmax())
        dets[len(order), :4] = boxes[best]
        dets[len(order), 4] = left[best]
        order.append(best)
        alive[best] = False
        left = left * factors[best]
        alive &= left >= min_score
    return torch.tensor(order, dtype=torch.long, device=boxes.device)


def nms_match(dets: Tensor, *, iou_threshold: float) -> list[list[int]]:
    """Groups detections ``(N, 5)`` with the better one that suppresses them.

    Returns:
        Groups of indices, each with the detection that stays first and the others by score.
    """
    order: list[int] = dets[:, 4].argsort(descending=True, stable=True).tolist()
    close = (_pairwise(dets[:, :4], dets[:, :4], 0) >= iou_threshold).tolist()
    groups = []
    while order:
        best, *others = order
        groups.append([best, *(other for other in others if close[best][other])])
        order = [other for other in others if not close[best][other]]
    return groups


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, *, mode: int, aligned: bool, offset: int
) -> None:
    """Writes overlaps of boxes into ``ious``.

    Args:
        bboxes1: Boxes ``(M, 4)``.
        bboxes2: Boxes ``(N, 4)``.
        ious: Gets the overlaps, ``(M, N)``, or ``(M,)`` if ``aligned``.
        mode: 0 for intersection over union, 1 for intersection over the first box.
        aligned: Compare the boxes in pairs, of which there are M = N.
        offset: See the module.
    """
    first, second = _close(bboxes1, offset), _close(bboxes2, offset)
    if not aligned:
        first = first[:, None]
    shared, first_area, second_area = _areas(first, second)
    whole = first_area if mode == 1 else first_area + second_area - shared
    ious.copy_(shared / whole)


def _close(boxes: Tensor, offset: int) -> Tensor:
    """The boxes with their last pixel, which is ``offset`` wide, added."""
    return boxes + boxes.new_tensor([0, 0, offset, offset])


def _pairwise(first: Tensor, second: Tensor, offset: int) -> Tensor:
    ious = first.new_empty(len(first), len(second))
    bbox_overlaps(first, second, ious, mode=0, aligned=False, offset=offset)
    return ious


def _areas(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The areas of the intersections, of the first and of the second boxes."""
    top_left = torch.maximum(first[..., :2], second[..., :2])
    bottom_right = torch.minimum(first[..., 2:], second[..., 2:])
    shared = (bottom_right - top_left).clamp(min=0).prod(-1)
    area, other = ((boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (first, second))
    return shared, area, other

"""Three boxes, worked out by hand: A and B overlap by .9, A and C by 1/3, B and C by 45/145."""

import pytest
import torch
from mmcv.ops import batched_nms, bbox_overlaps, nms, nms_match, soft_nms
from torch import Tensor

A, B, C = [0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0], [5.0, 0.0, 15.0, 10.0]


@pytest.fixture
def boxes(device: torch.device) -> Tensor:
    return torch.tensor([C, A, B], device=device)


@pytest.fixture
def scores(device: torch.device) -> Tensor:
    return torch.tensor([0.7, 0.9, 0.8], device=device)


@pytest.mark.parametrize(
    ("threshold", "offset", "kept"),
    [(0.5, 0, [1, 0]), (0.3, 0, [1]), (0.35, 0, [1, 0]), (0.35, 1, [1])],
)
def test_nms(boxes: Tensor, scores: Tensor, threshold: float, offset: int, kept: list[int]) -> None:
    # With a last pixel that counts, A and C share 6 x 11 of 176 pixels, .375.
    dets, indices = nms(boxes, scores, threshold, offset=offset)
    assert indices.tolist() == kept
    assert torch.equal(dets[:, 4], scores[indices])


def test_nms_takes_half_precision(boxes: Tensor, scores: Tensor) -> None:
    assert nms(boxes.bfloat16(), scores.bfloat16(), 0.5)[1].tolist() == [1, 0]


def test_classes_do_not_suppress_each_other(boxes: Tensor, scores: Tensor) -> None:
    classes = torch.tensor([0, 0, 1], device=boxes.device)
    _, kept = batched_nms(boxes, scores, classes, {"type": "nms", "iou_threshold": 0.3})
    assert kept.tolist() == [1, 2]


def test_soft_nms_linear(boxes: Tensor, scores: Tensor) -> None:
    dets, indices = soft_nms(boxes, scores, iou_threshold=0.3, method="linear", min_score=0.05)
    assert indices.tolist() == [1, 0, 2]
    expected = [0.9, 0.7 * 2 / 3, 0.8 * 0.1 * 100 / 145]
    assert dets[:, 4].tolist() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(dets[:, :4], boxes[indices])


def test_soft_nms_drops_what_falls_below_the_least_score(boxes: Tensor, scores: Tensor) -> None:
    _, indices = soft_nms(boxes, scores, iou_threshold=0.3, method="linear", min_score=0.06)
    assert indices.tolist() == [1, 0]


def test_soft_nms_gaussian(boxes: Tensor, scores: Tensor) -> None:
    dets, _ = soft_nms(boxes[:2], scores[:2], sigma=0.5, method="gaussian")
    weight = torch.exp(torch.tensor(-((1 / 3) ** 2) / 0.5)).item()
    assert dets[:, 4].tolist() == pytest.approx([0.9, 0.7 * weight], rel=1e-6)


def test_soft_nms_naive_is_nms(boxes: Tensor, scores: Tensor) -> None:
    _, indices = soft_nms(boxes, scores, iou_threshold=0.5, method="naive", min_score=0.05)
    assert indices.tolist() == [1, 0]


@pytest.mark.parametrize(("threshold", "groups"), [(0.5, [[1, 2], [0]]), (0.3, [[1, 2, 0]])])
def test_nms_match(
    boxes: Tensor, scores: Tensor, threshold: float, groups: list[list[int]]
) -> None:
    dets = torch.cat([boxes, scores[:, None]], 1)
    assert [group.tolist() for group in nms_match(dets, threshold)] == groups


def test_overlaps(boxes: Tensor) -> None:
    pairs = bbox_overlaps(boxes[:1], boxes)
    assert pairs.tolist()[0] == pytest.approx([1, 1 / 3, 45 / 145])
    over_first = bbox_overlaps(boxes[2:], boxes[:1], mode="iof", aligned=True)
    assert over_first.tolist() == pytest.approx([45 / 90])
    assert bbox_overlaps(boxes[:1], boxes[1:2], offset=1).item() == pytest.approx(66 / 176)

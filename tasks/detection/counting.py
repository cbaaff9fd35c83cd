"""A detector's forward pass with a fixed number of regions.

How many proposals there are depends on what is in the image, and a network that is counted on the
meta device sees none. The paper's tool, mmdet 2.x's, gave the heads 1000 random proposals and the
mask head the first 100.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from mmdet.models import SingleStageDetector
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmdet.models import BaseDetector

PROPOSALS = 1000
MASKS = 100

_SIDE = 21
"""A region's side in pixels of its map: mmdet pools regions with 14 to 28 from each."""


class FixedRegions(nn.Module):
    """A detector that is given its regions, the same number on each level of the pyramid.

    Args:
        detector: A detector of mmdet, with one stage or with two or more.
    """

    def __init__(self, detector: BaseDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps images ``(N, 3, H, W)`` to the raw outputs of the heads, one tensor after another.

        Those of the box and mask heads are ``(1000 N, ...)`` and ``(100 N, ...)``.
        """
        maps = self.detector.extract_feat(images)
        if isinstance(self.detector, SingleStageDetector):
            return _flat(self.detector.bbox_head(maps))
        outputs = _flat(self.detector.rpn_head(maps))
        heads = self.detector.roi_head
        for extractor, head in _stages(heads.bbox_roi_extractor, heads.bbox_head):
            outputs += head(_pool(extractor, maps, PROPOSALS))
        for extractor, head in _stages(heads.mask_roi_extractor, heads.mask_head):
            outputs.append(head(_pool(extractor, maps, MASKS)))
        return outputs


def _pool(extractor: Any, maps: Sequence[Tensor], regions: int) -> Tensor:
    """Features ``(N * regions, C, h, w)`` of regions in the corner of each image and level."""
    share = regions // len(extractor.roi_layers)
    pooled = []
    for layer, stride, level in zip(
        extractor.roi_layers, extractor.featmap_strides, maps, strict=False
    ):
        images = torch.arange(len(level), device=level.device).repeat_interleave(share)
        box = level.new_tensor([0, 0, _SIDE * stride, _SIDE * stride])
        pooled.append(layer(level, torch.cat([images[:, None], box.expand(len(images), 4)], 1)))
    return torch.cat(pooled)


def _stages(extractor: Any, head: Any) -> list[tuple[Any, Any]]:
    if isinstance(head, nn.ModuleList):
        return list(zip(extractor, head, strict=True))
    return [(extractor, head)]


def _flat(outputs: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    return [level for output in outputs for level in output]

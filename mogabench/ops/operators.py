"""What the stand-in offers under the names of mmcv's extension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mogabench.ops import boxes, deformable, focal, regions

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATORS: dict[str, Callable[..., Any]] = {
    "bbox_overlaps": boxes.bbox_overlaps,
    "nms": boxes.nms,
    "nms_match": boxes.nms_match,
    "softnms": boxes.softnms,
    "roi_align_forward": regions.roi_align_forward,
    "roi_align_backward": regions.roi_align_backward,
    "sigmoid_focal_loss_forward": focal.sigmoid_focal_loss_forward,
    "sigmoid_focal_loss_backward": focal.sigmoid_focal_loss_backward,
    "deform_conv_forward": deformable.deform_conv_forward,
    "deform_conv_backward_input": deformable.deform_conv_backward_input,
    "deform_conv_backward_parameters": deformable.deform_conv_backward_parameters,
    "modulated_deform_conv_forward": deformable.modulated_deform_conv_forward,
    "modulated_deform_conv_backward": deformable.modulated_deform_conv_backward,
}

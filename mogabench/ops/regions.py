"""RoIAlign (He et al., Mask R-CNN, ICCV 2017)."""

from __future__ import annotations

import torch
import torchvision  # noqa: F401  (registers its operators with torch)
from torch import Tensor

from mogabench.errors import UserError
from mogabench.ops.precision import widen

_MAX = 0
"""mmcv's ``pool_mode`` that takes the greatest sample of a bin, not the average."""


def roi_align_forward(
    source: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Writes the averages of bilinear samples in each bin of each region into ``output``.

    Args:
        source: A map ``(N, C, H, W)``.
        rois: Regions ``(R, 5)``: the image's index, then the box in the image's pixels.
        output: Gets ``(R, C, aligned_height, aligned_width)``.
        argmax_y: Not needed for averages.
        argmax_x: Not needed for averages.
        aligned_height: Bins of a region from top to bottom.
        aligned_width: Bins from left to right.
        spatial_scale: Pixels of the map per pixel of the image.
        sampling_ratio: Samples per bin and direction; 0 for as many as the bin has pixels.
        pool_mode: 1 for the average.
        aligned: Whether a pixel's centre lies half a pixel from its corner.

    Raises:
        UserError: ``pool_mode`` asks for the greatest sample.
    """
    _require_average(pool_mode)
    output.copy_(
        torch.ops.torchvision.roi_align(
            *widen(source, rois),
            spatial_scale,
            aligned_height,
            aligned_width,
            sampling_ratio,
            aligned,
        )
    )


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Writes the gradient of the map ``(N, C, H, W)`` into ``grad_input``; see the forward.

    Raises:
        UserError: ``pool_mode`` asks for the greatest sample.
    """
    _require_average(pool_mode)
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            *widen(grad_output, rois),
            spatial_scale,
            aligned_height,
            aligned_width,
            *grad_input.shape,
            sampling_ratio,
            aligned,
        )
    )


def _require_average(pool_mode: int) -> None:
    if pool_mode == _MAX:
        raise UserError(
            "RoIAlign with pool_mode='max' needs the compiled mmcv; torchvision's averages, "
            "as pool_mode='avg' does"
        )

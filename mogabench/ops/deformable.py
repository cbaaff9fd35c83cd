"""Deformable convolutions (Dai et al., ICCV 2017; with modulation Zhu et al., CVPR 2019).

``image`` is ``(N, C, H, W)``, ``weight`` ``(C_out, C / groups, kH, kW)`` and ``offset``
``(N, 2 G kH kW, H_out, W_out)`` for G deformable groups, y before x; ``mask`` is
``(N, G kH kW, H_out, W_out)``. Arguments that only mmcv's own kernels use are taken and left.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision.ops import deform_conv2d

from mogabench.ops.precision import widen


class _Geometry(NamedTuple):
    """How the kernel moves, each ``(vertical, horizontal)``, and how channels are grouped."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    deformable_groups: int


class _Gradients(NamedTuple):
    image: Tensor
    weight: Tensor
    offset: Tensor
    mask: Tensor
    bias: Tensor


def deform_conv_forward(
    image: Tensor, weight: Tensor, offset: Tensor, output: Tensor, *_buffers: Tensor, **how: Any
) -> None:
    """Writes the convolution ``(N, C_out, H_out, W_out)`` into ``output``."""
    _convolve(output, image, offset, weight, None, None, _plain(how))


def deform_conv_backward_input(
    image: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_image: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    *_buffers: Tensor,
    **how: Any,
) -> None:
    """Writes the gradients of the image and of the offsets."""
    found = _gradients(grad_output, image, offset, weight, None, _plain(how))
    grad_image.copy_(found.image)
    grad_offset.copy_(found.offset)


def deform_conv_backward_parameters(
    image: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    *_buffers: Tensor,
    scale: float,
    **how: Any,
) -> None:
    """Adds ``scale`` times the gradient of the weight to ``grad_weight``."""
    found = _gradients(grad_output, image, offset, grad_weight, None, _plain(how))
    grad_weight.add_(found.weight, alpha=scale)


def modulated_deform_conv_forward(
    image: Tensor,
    weight: Tensor,
    bias: Tensor,
    _ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    _columns: Tensor,
    *,
    with_bias: bool,
    **how: Any,
) -> None:
    """Writes the convolution, each sample weighted by ``mask``, into ``output``."""
    _convolve(output, image, offset, weight, mask, bias if with_bias else None, _modulate(how))


def modulated_deform_conv_backward(
    image: Tensor,
    weight: Tensor,
    _bias: Tensor,
    _ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    _columns: Tensor,
    grad_image: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    *,
    with_bias: bool,
    **how: Any,
) -> None:
    """Writes the gradients of everything."""
    found = _gradients(grad_output, image, offset, weight, mask, _modulate(how))
    grad_image.copy_(found.image)
    grad_weight.copy_(found.weight)
    grad_offset.copy_(found.offset)
    grad_mask.copy_(found.mask)
    if with_bias:
        grad_bias.copy_(found.bias)


def _plain(how: dict[str, Any]) -> _Geometry:
    return _Geometry(
        (how["dH"], how["dW"]),
        (how["padH"], how["padW"]),
        (how["dilationH"], how["dilationW"]),
        how["group"],
        how["deformable_group"],
    )


def _modulate(how: dict[str, Any]) -> _Geometry:
    return _Geometry(
        (how["stride_h"], how["stride_w"]),
        (how["pad_h"], how["pad_w"]),
        (how["dilation_h"], how["dilation_w"]),
        how["group"],
        how["deformable_group"],
    )


def _convolve(
    output: Tensor,
    image: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    how: _Geometry,
) -> None:
    given = [tensor for tensor in (mask, bias) if tensor is not None]
    image, offset, weight, *rest = widen(image, offset, weight, *given)
    output.copy_(
        deform_conv2d(
            image,
            offset,
            weight,
            rest[-1] if bias is not None else None,
            how.stride,
            how.padding,
            how.dilation,
            rest[0] if mask is not None else None,
        )
    )


def _gradients(
    grad_output: Tensor,
    image: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    how: _Geometry,
) -> _Gradients:
    """The gradients, with torchvision's ones for a mask or bias that is not there."""
    shown = image.new_zeros(len(image), 0) if mask is None else mask
    grad, image, weight, offset, shown = widen(grad_output, image, weight, offset, shown)
    bias = weight.new_zeros(len(weight))
    found = torch.ops.torchvision._deform_conv2d_backward(
        *(grad, image, weight, offset, shown, bias),
        *(*how.stride, *how.padding, *how.dilation),
        *(how.groups, how.deformable_groups, mask is not None),
    )
    return _Gradients(*found)

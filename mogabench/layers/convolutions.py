"""Convolutions that many families have."""

from __future__ import annotations

from torch import nn

from mogabench.ops.depthwise import DepthwiseConv2d


def depthwise_conv(dim: int, kernel_size: int, dilation: int = 1) -> nn.Module:
    """A depth-wise convolution that keeps the size; the identity where there are no channels."""
    if dim == 0:
        return nn.Identity()
    return DepthwiseConv2d(dim, kernel_size, dilation)


def conv_norm(
    in_chans: int, dim: int, kernel_size: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution that keeps the size but for its stride, and batch norm."""
    conv = nn.Conv2d(
        in_chans, dim, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
    )
    return nn.Sequential(conv, nn.BatchNorm2d(dim))

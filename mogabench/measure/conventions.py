"""The conventions for counting operations; all count one multiply-accumulate as one.

========== ====================================================================================
``matmul`` convolutions, linear layers and matrix products, attention's included
``fvcore`` these, and normalisation, pooling and interpolation at fvcore's rates, and FFTs
``paper``  the rule of mmcv 1.x's ``flops_counter``, by which the MogaNet paper's figures are made
========== ====================================================================================

``matmul`` and ``fvcore`` are rules about operators (``operators.py``); ``paper`` is a rule about
modules, below. fvcore itself does not see fused attention, convolutions with ``padding="same"``,
``baddbmm``, deformable convolutions and FFTs; its convention here counts them in full.
"""

from __future__ import annotations

from functools import singledispatch
from math import prod
from typing import Any

from torch import Tensor, nn

from mogabench.layers.fused_moga import FusedChannelAggregation


@singledispatch
def paper_operations(module: nn.Module, source: Any, out: Any) -> int:
    """Operations of one call of a module, not of its children, by the ``paper`` convention.

    Whatever is no module counts nothing: functional interpolation and pooling, the products
    inside attention, softmax. Subclasses count as the class that they refine.

    Args:
        module: The module that was called.
        source: Its first input.
        out: Its output.
    """
    return 0


@paper_operations.register(nn.Conv1d | nn.Conv2d | nn.Conv3d)
def _convolution(module: nn.Conv2d, source: Tensor, out: Tensor) -> int:
    return out.numel() * prod(module.weight.shape[1:]) + _bias(module, out)


@paper_operations.register(nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
def _transposed(module: nn.ConvTranspose2d, source: Tensor, out: Tensor) -> int:
    return source.numel() * prod(module.weight.shape[1:]) + _bias(module, out)


def _bias(module: nn.Conv2d | nn.ConvTranspose2d, out: Tensor) -> int:
    return 0 if module.bias is None else out.numel()


@paper_operations.register
def _linear(module: nn.Linear, source: Tensor, out: Tensor) -> int:
    return source.numel() * module.out_features


@paper_operations.register(nn.modules.batchnorm._NormBase | nn.GroupNorm | nn.LayerNorm)
def _norm(module: nn.Module, source: Tensor, out: Tensor) -> int:
    return source.numel() * (1 if module.weight is None else 2)


@paper_operations.register
def _synchronised_norm(module: nn.SyncBatchNorm, source: Tensor, out: Tensor) -> int:
    """Nothing: mmcv's table of counted modules does not have it."""
    return 0


@paper_operations.register(nn.ReLU | nn.ReLU6 | nn.LeakyReLU | nn.PReLU | nn.ELU)
@paper_operations.register(nn.Upsample)
def _per_output(module: nn.Module, source: Tensor, out: Tensor) -> int:
    return out.numel()


@paper_operations.register(nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d)
@paper_operations.register(nn.AvgPool1d | nn.AvgPool2d | nn.AvgPool3d)
@paper_operations.register(nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d | nn.AdaptiveMaxPool3d)
@paper_operations.register(nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d | nn.AdaptiveAvgPool3d)
def _per_input(module: nn.Module, source: Tensor, out: Any) -> int:
    return source.numel()


@paper_operations.register
def _fused_channels(module: FusedChannelAggregation, source: Tensor, out: Tensor) -> int:
    """Its depth-wise convolution and, with CA, the used rows of its last one: it calls neither."""
    used: list[Tensor] = [*module.dwconv.parameters()]
    if module.act is not None:
        used += [values[: module.dim + 1] for values in module.fc2.parameters()]
    return out.numel() // module.dim * sum(values.numel() for values in used)

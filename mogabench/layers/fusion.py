"""Networks for inference alone, with every scale and norm folded into the convolutions around it.

A module takes part by a method ``fused() -> nn.Module``: the same function in fewer operations. A
subclass that overrides ``forward`` takes part by a method of its own.
All folds are computed in float64. Modules of timm take the form that timm has for them, such as
RepViT's merged branches.
"""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mogabench.ops.channels_last import PointwiseConv2d

M = TypeVar("M", bound=nn.Module)


def fuse(network: nn.Module) -> nn.Module:
    """A copy of a network for inference, in which every part that has a fused form takes it.

    Modules of timm take the form that its ``reparameterize_model`` gives them. The outputs stay
    equal up to rounding. The copy cannot be trained, and its weights have other names and shapes:
    load and save those of the original.

    Args:
        network: Any module, such as a timm network, a detector or a segmentor.

    Returns:
        The copy, in evaluation mode; parts without a fused form are as they were.
    """
    return _fused(deepcopy(network).eval()).eval().requires_grad_(False)


@runtime_checkable
class Fusable(Protocol):
    """A module that has a fused form."""

    def fused(self) -> nn.Module:
        """The module for inference, which may take over its layers."""
        ...


def _fused(module: nn.Module) -> nn.Module:
    if isinstance(module, Fusable) and _computes_what_is_fused(type(module)):
        return module.fused()
    return fuse_children(_merged_by_timm(module))


def _computes_what_is_fused(kind: type) -> bool:
    """Whether no subclass of the class with the method ``fused`` has a ``forward`` of its own."""
    for ancestor in kind.__mro__:
        if "fused" in vars(ancestor):
            return True
        if any(name.startswith("forward") for name in vars(ancestor)):
            return False
    return False  # not a method, such as the flag of timm's EfficientViM


def _merged_by_timm(module: nn.Module) -> nn.Module:
    """A module of timm as its ``reparameterize_model`` has it, which asks modules of anyone.

    Those of others may mean something else by these names.
    """
    names = ("fuse", "reparameterize", "switch_to_deploy")
    methods = (getattr(module, name, None) for name in names)
    merge = next((method for method in methods if callable(method)), None)
    some = next(module.parameters(), None)
    if merge is None or some is None or not type(module).__module__.startswith("timm."):
        return module
    dtype, default = some.dtype, torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # that of the layers which timm makes
    try:
        module.double()
        merged = merge()  # None where it changes the module itself
    finally:
        torch.set_default_dtype(default)
    return (merged if isinstance(merged, nn.Module) else module).to(some.device, dtype)


def fuse_children(module: M) -> M:
    """Gives each part of a module its fused form, where it has one."""
    for name, child in module.named_children():
        setattr(module, name, _fused(child))
    return module


class SplitNorm(NamedTuple):
    """A norm as what cannot be folded, and the factor and shift ``(C,)`` per channel after it."""

    rest: nn.Module
    factor: Tensor
    shift: Tensor


def split_norm(norm: nn.Module) -> SplitNorm | None:
    """Takes the affine part out of a norm over channels; None if it is of another kind.

    Batch norm with running statistics is nothing but affine; of a layer norm the normalisation
    is left.
    """
    if isinstance(norm, _BatchNorm) and norm.affine:
        if norm.running_mean is None or norm.running_var is None:
            return None
        mean, variance = norm.running_mean.double(), norm.running_var.double()
        factor = norm.weight.detach().double() / (variance + norm.eps).sqrt()
        return SplitNorm(nn.Identity(), factor, norm.bias.detach().double() - mean * factor)
    if type(norm) is LayerNorm2d and norm.elementwise_affine:
        factor, shift = (value.detach().double() for value in norm.parameters())
        return SplitNorm(LayerNorm2d(len(factor), eps=norm.eps, affine=False), factor, shift)
    return None


def pointwise(weight: Tensor, bias: Tensor | None, like: nn.Conv2d) -> nn.Conv2d:
    """A 1x1 convolution with weights ``(C_out, C_in)`` and bias ``(C_out,)``.

    Args:
        weight: Its weights.
        bias: Its bias, or None.
        like: The convolution that it replaces, whose type and device it takes.
    """
    out_dim, in_dim = weight.shape
    with torch.device(like.weight.device):
        conv = PointwiseConv2d(in_dim, out_dim, bias=bias is not None).to(like.weight.dtype)
    with torch.no_grad():
        conv.weight.copy_(weight[:, :, None, None])
        if bias is not None and conv.bias is not None:
            conv.bias.copy_(bias)
    return conv


def pointwise_weights(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weights ``(C_out, C_in)`` and bias ``(C_out,)`` of a 1x1 convolution, in float64."""
    weight = conv.weight.detach().double().flatten(1)
    bias = weight.new_zeros(len(weight)) if conv.bias is None else conv.bias.detach().double()
    return weight, bias


def fold_norm(conv: nn.Conv2d, norm: nn.Module) -> tuple[nn.Conv2d, nn.Module]:
    """A convolution with the batch norm after it; a norm of another kind stays."""
    if not isinstance(norm, _BatchNorm) or norm.running_mean is None:
        return conv, norm
    dtype = conv.weight.dtype
    folded: nn.Conv2d = fuse_conv_bn_eval(conv.double(), norm.double())
    return folded.to(dtype), nn.Identity()


def fold_norms(layers: nn.Sequential) -> nn.Sequential:
    """Layers in which each batch norm has gone into the convolution before it."""
    for index in range(len(layers) - 1):
        conv = layers[index]
        if isinstance(conv, nn.Conv2d):
            layers[index], layers[index + 1] = fold_norm(conv, layers[index + 1])
    return layers

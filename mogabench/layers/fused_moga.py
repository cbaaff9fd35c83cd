"""The Moga block for inference: `mogabench.layers.moga` with scales, norms and FD folded away.

With batch norm as ``a x + b``, ``s`` the scale of feature decomposition (Eq. 7) and ``l`` that of
the layer, the spatial aggregation begins with ``(1 + s) W x - s W mean(x)``, a scaled 1x1
convolution and a shift per image from its input's mean; it ends with ``(1 + l a) x + l P(..)``.
The channel aggregation (Eq. 10) is ``(l V (1 + s)) h - (l V s) GELU(d h)``: a scaled 1x1
convolution and a product of rank one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mogabench.layers.fusion import SplitNorm, pointwise, pointwise_weights, split_norm
from mogabench.layers.moga import (
    ChannelAggregation,
    ChannelScale,
    GatedContext,
    MogaBlock,
    MultiOrderDepthwise,
    SpatialAggregation,
)
from mogabench.ops.channels_last import GELU, PointwiseConv2d, convolve_pointwise, in_groups
from mogabench.ops.depthwise import DepthwiseConv2d, convolve_multi_order, lie_by_taps

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALIGNMENT = 8
"""Outputs of a product come in multiples of it, so that pixels begin where 16 bytes do."""

_PARTS: Mapping[str, type[nn.Module]] = {
    "": MogaBlock,
    "attn": SpatialAggregation,
    "attn.proj_1": PointwiseConv2d,
    "attn.proj_2": PointwiseConv2d,
    "attn.sigma": ChannelScale,
    "mlp": ChannelAggregation,
    "mlp.fc1": PointwiseConv2d,
    "mlp.dwconv": DepthwiseConv2d,
    "mlp.act": GELU,
    "mlp.fc2": PointwiseConv2d,
    "mlp.decompose": PointwiseConv2d,
    "mlp.sigma": ChannelScale,
}
"""The parts of a block whose computation the fused form replaces, by name."""


def fuse_moga_block(block: MogaBlock, after: SplitNorm | None = None) -> nn.Module:
    """Both aggregations of a block, fused.

    The block itself if a norm cannot be folded, or if a part was replaced by another class, even by
    a subclass: it may compute something else.

    Args:
        block: A block in evaluation mode; its layers are taken over.
        after: The norm after the block, which must be affine, or None.
    """
    parts = dict(block.named_modules())
    if any(type(parts[name]) is not kind for name, kind in _PARTS.items() if name in parts):
        return block
    norm1, norm2 = split_norm(block.norm1), split_norm(block.norm2)
    if norm1 is None or norm2 is None:
        return block
    scale1, scale2 = (
        scale.detach().double().flatten() for scale in (block.layer_scale_1, block.layer_scale_2)
    )
    return nn.Sequential(
        FusedSpatialAggregation(norm1, block.attn, scale1),
        FusedChannelAggregation(norm2, block.mlp, scale2, after),
    )


class FusedSpatialAggregation(GatedContext):
    """A norm, the spatial aggregation, the scale of the layer and the sum with its input.

    Args:
        norm: The norm before the aggregation.
        spatial: The aggregation, whose context is taken over.
        scale: The layer's scale ``(C,)``, in float64.
    """

    def __init__(self, norm: SplitNorm, spatial: SpatialAggregation, scale: Tensor) -> None:
        super().__init__()
        self.norm = norm.rest
        weight, bias = pointwise_weights(spatial.proj_1)
        bias = bias + weight @ norm.shift
        weight = weight * norm.factor
        self.mean = None
        if spatial.sigma is not None:
            sigma = spatial.sigma.scale.detach().double().flatten()[:, None]
            self.mean = pointwise(-sigma * weight, None, spatial.proj_1)
            weight = (1 + sigma) * weight
        self.proj_1 = pointwise(weight, bias, spatial.proj_1)
        self.act = _in_place(spatial.act)
        self.gate, self.gate_act = spatial.gate, _in_place(spatial.gate_act)
        self.value, self.value_act = spatial.value, _in_place(spatial.value_act)
        if type(spatial.value) is MultiOrderDepthwise:
            self.value = FusedMultiOrder(spatial.value)
        self.force_fp32 = spatial.force_fp32
        weight, bias = pointwise_weights(spatial.proj_2)
        shift = scale * (bias + norm.shift)
        self.proj_2 = pointwise(scale[:, None] * weight, shift, spatial.proj_2)
        self.is_affine = isinstance(norm.rest, nn.Identity)
        self.factor = _per_channel(scale * norm.factor + self.is_affine, spatial.proj_2)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        normed = self.norm(x)
        y = self.proj_1(normed)
        if self.mean is not None:
            y = y + self.mean(nn.functional.adaptive_avg_pool2d(normed, 1))
        out = torch.addcmul(self.aggregate(self.act(y)), normed, self.factor)
        return out if self.is_affine else out + x


class FusedMultiOrder(nn.Module):
    """The multi-order layers, whose branches write into one buffer where the kernels suit.

    Args:
        layers: The layers, which are taken over.
    """

    def __init__(self, layers: MultiOrderDepthwise) -> None:
        super().__init__()
        self.layers = layers
        convs = (layers.DW_conv0, layers.DW_conv1, layers.DW_conv2)
        for conv in convs:
            if isinstance(conv, DepthwiseConv2d):
                lie_by_taps(conv)
        none = layers.DW_conv0.weight[:0]
        self.weights = nn.ParameterList(getattr(conv, "weight", none) for conv in convs)
        self.biases = nn.ParameterList(getattr(conv, "bias", none[:, 0, 0, 0]) for conv in convs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        y = convolve_multi_order(x, list(self.weights), list(self.biases))
        context: Tensor = self.layers(x) if y is None else self.layers.PW_conv(y)
        return context


class FusedChannelAggregation(nn.Module):
    """A norm, the channel aggregation, the scale of the layer and the sum with its input.

    Args:
        norm: The norm before the aggregation.
        channel: The aggregation, whose inner layers are taken over.
        scale: The layer's scale ``(C,)``, in float64.
        after: The norm after the sum, which must be affine, or None.
    """

    def __init__(
        self,
        norm: SplitNorm,
        channel: ChannelAggregation,
        scale: Tensor,
        after: SplitNorm | None = None,
    ) -> None:
        super().__init__()
        self.norm = norm.rest
        weight, bias = pointwise_weights(channel.fc1)
        self.fc1 = pointwise(weight * norm.factor, bias + weight @ norm.shift, channel.fc1)
        self.dwconv = channel.dwconv
        lie_by_taps(self.dwconv)
        weight, bias = pointwise_weights(channel.fc2)
        weight, bias = scale[:, None] * weight, scale * bias
        self.factor = None
        if after is not None:
            self.factor = _per_channel(after.factor, channel.fc2)
            weight, bias = after.factor[:, None] * weight, after.factor * bias + after.shift
        self.se = channel.se if channel.aggregation == "se" else nn.Identity()
        self.act = None
        self.dim = len(weight)
        if channel.aggregation == "ca":
            sigma = channel.sigma.scale.detach().double().flatten()
            self.act = channel.act
            self.rank_one = _per_channel(weight @ sigma, channel.fc2)
            row, offset = pointwise_weights(channel.decompose)
            rest = weight.new_zeros(_ALIGNMENT - 1, weight.shape[1])
            weight = torch.cat([weight * (1 + sigma), row, rest])
            bias = torch.cat([bias, offset, rest[:, 0]])
        self.fc2 = pointwise(weight, bias, channel.fc2)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return in_groups(self._aggregate, x, self.fc1.out_channels)

    def _aggregate(self, x: Tensor) -> Tensor:
        hidden = self.se(self.dwconv.with_gelu(self.fc1(self.norm(x))))
        if self.act is None:
            return self._add(self.fc2(hidden), x)
        out, row = self._project(hidden)
        return torch.addcmul(self._add(out, x), self.act(row), self.rank_one, value=-1)

    def _add(self, out: Tensor, x: Tensor) -> Tensor:
        return out + x if self.factor is None else torch.addcmul(out, x, self.factor)

    def _project(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the output without its term of rank one, and that term's row ``d h``."""
        parts = [slice(self.dim), slice(self.dim, self.dim + 1)]
        if hidden.is_cuda:  # in one product, which reads the hidden maps once
            both = self.fc2(hidden)
            out, row = (both[:, part] for part in parts)
        else:
            weight, bias = self.fc2.weight, self.fc2.bias
            assert bias is not None
            out, row = (convolve_pointwise(hidden, weight[part], bias[part]) for part in parts)
        return out, row


def _in_place(act: nn.Module) -> nn.Module:
    """An activation that overwrites its input, which is the output of a convolution."""
    return nn.SiLU(inplace=True) if isinstance(act, nn.SiLU) else act


def _per_channel(values: Tensor, like: nn.Conv2d) -> nn.Parameter:
    return nn.Parameter(values[:, None, None].to(like.weight.dtype), requires_grad=False)

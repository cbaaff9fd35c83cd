"""The Moga block and the parts that the paper's ablations take out of it (Sec. 4.2, 4.3, Fig. 4).

Submodules carry the names of the released network, so that its weights load unchanged. Where the
released network departs from the printed equations, the code follows the network and says so.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

import torch
from timm.layers import DropPath, LayerNorm2d, SqueezeExcite
from torch import Tensor, nn

from mogabench.errors import UserError, unknown
from mogabench.layers.convolutions import depthwise_conv
from mogabench.ops.channels_last import GELU, PointwiseConv2d
from mogabench.ops.depthwise import DepthwiseConv2d

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "gelu": GELU,
    "silu": nn.SiLU,
}
NORMS: Mapping[str, Callable[[int], nn.Module]] = {"bn": nn.BatchNorm2d, "ln": LayerNorm2d}

MULTI_ORDER = "multi_order"
SERIAL_DEPTHWISE: Mapping[str, Sequence[tuple[int, int]]] = {
    "dw5": ((5, 1),),
    "dw7": ((7, 1),),
    "dw5+dw7d3": ((5, 1), (7, 3)),
    "dw5+dw5d2+dw7d3": ((5, 1), (5, 2), (7, 3)),
}
"""Kernel size and dilation of the layers that Table A5 compares with the multi-order ones."""

CHANNEL_AGGREGATIONS = ("ca", "se", "none")

INITIAL_SCALE = 1e-5
"""Start of every learned scale; the paper says zeros for ``gamma_s`` and ``gamma_c``."""


def choose(kind: str, name: str, choices: Mapping[str, T]) -> T:
    """Looks up an option by name.

    Raises:
        UserError: There is no such choice; the valid ones are listed.
    """
    if name not in choices:
        raise unknown(kind, name, choices)
    return choices[name]


class ChannelScale(nn.Module):
    """A learned factor per channel."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, dim, 1, 1), INITIAL_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Scales ``(N, C, H, W)``."""
        return x * self.scale


class MultiOrderDepthwise(nn.Module):
    """Context at three orders: a DW5x5, of which two slices go on to a DW5x5 d2 and a DW7x7 d3.

    Args:
        dim: Channels.
        split: Ratio of the low-, middle- and high-order channels (Table A5); zero removes a slice.

    Raises:
        UserError: The ratio is not three non-negative integers with a positive sum.
    """

    def __init__(self, dim: int, split: Sequence[int]) -> None:
        super().__init__()
        if len(split) != 3 or min(split) < 0 or sum(split) == 0:
            raise UserError(f"split {tuple(split)} is not a ratio of three parts such as (1, 3, 4)")
        # Rounding the sums, not the parts, keeps an empty slice empty.
        first, second, _ = (dim * part // sum(split) for part in accumulate(split))
        self.widths = (first, second - first, dim - second)
        self.DW_conv0 = DepthwiseConv2d(dim, 5)
        self.DW_conv1 = depthwise_conv(self.widths[1], 5, dilation=2)
        self.DW_conv2 = depthwise_conv(self.widths[2], 7, dilation=3)
        self.PW_conv = PointwiseConv2d(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        low, middle, high = self.DW_conv0(x).split(self.widths, dim=1)
        y = torch.cat([low, self.DW_conv1(middle), self.DW_conv2(high)], dim=1)
        context: Tensor = self.PW_conv(y)
        return context


def context_branch(dim: int, depthwise: str, split: Sequence[int]) -> nn.Module:
    """The depth-wise layers of the context branch with the point-wise one after them.

    Args:
        dim: Channels.
        depthwise: ``multi_order``, or layers in series over all channels such as ``dw5+dw7d3``.
        split: Ratio of the multi-order slices.

    Raises:
        UserError: No such depth-wise layers, or a wrong ratio.
    """
    if depthwise == MULTI_ORDER:
        return MultiOrderDepthwise(dim, split)
    if depthwise not in SERIAL_DEPTHWISE:
        raise unknown("depth-wise layers", depthwise, [MULTI_ORDER, *SERIAL_DEPTHWISE])
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        (f"DW_conv{index}", depthwise_conv(dim, kernel_size, dilation))
        for index, (kernel_size, dilation) in enumerate(SERIAL_DEPTHWISE[depthwise])
    )
    layers["PW_conv"] = PointwiseConv2d(dim, dim)
    return nn.Sequential(layers)


class GatedContext(nn.Module):
    """The multi-order context, multiplied by a gate and projected (Eq. 8).

    The layers are set by a subclass. As released, ``force_fp32`` also applies both activations
    twice.
    """

    force_fp32: bool
    gate: nn.Conv2d | None
    value: nn.Module
    proj_2: nn.Conv2d
    gate_act: nn.Module
    value_act: nn.Module

    def aggregate(self, y: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        aggregated: Tensor
        value = self.value_act(self.value(y))
        if self.gate is None:
            aggregated = self.proj_2(value)
        elif self.force_fp32:
            aggregated = self._aggregate_in_fp32(self.gate_act(self.gate(y)), value)
        else:
            aggregated = self.proj_2(self.gate_act(self.gate(y)) * value)
        return aggregated

    def _aggregate_in_fp32(self, gate: Tensor, value: Tensor) -> Tensor:
        with _autocast_off(gate.device.type):
            product = self.gate_act(gate.float()) * self.value_act(value.float())
            aggregated: Tensor = self.proj_2(product.to(self.proj_2.weight.dtype))
        return aggregated


def _autocast_off(device_type: str) -> AbstractContextManager[object]:
    # The meta device has no autocast; asking for availability would break torch 2.11's graphs.
    if device_type == "meta":
        return nullcontext()
    return torch.autocast(device_type, enabled=False)


class SpatialAggregation(GatedContext):
    """Feature decomposition, then gated multi-order context (Eq. 5 to 8).

    The released network uses SiLU where Eq. 7 has GELU, and adds the block's own (normalised)
    input to the output.

    Args:
        dim: Channels.
        gate: Whether the context is multiplied by a gate.
        gate_act: Activation of the gating branch: none, sigmoid, gelu or silu (Table A4).
        value_act: Activation of the context branch.
        depthwise: Layers of the context branch (Table A5).
        split: Ratio of the multi-order channels.
        feature_decomposition: Whether to have FD (Eq. 7).
        force_fp32: Multiply and project in float32 whatever autocast says. As released, this
            also applies both activations twice: weights trained with it need it.

    Raises:
        UserError: An option is not among the valid ones, or ``force_fp32`` without a gate.
    """

    def __init__(
        self,
        dim: int,
        *,
        gate: bool = True,
        gate_act: str = "silu",
        value_act: str = "silu",
        depthwise: str = MULTI_ORDER,
        split: Sequence[int] = (1, 3, 4),
        feature_decomposition: bool = True,
        force_fp32: bool = False,
    ) -> None:
        super().__init__()
        if force_fp32 and not gate:
            raise UserError("attn_force_fp32 concerns the gate's product; it needs gate=True")
        self.force_fp32 = force_fp32
        self.proj_1 = PointwiseConv2d(dim, dim)
        self.gate = PointwiseConv2d(dim, dim) if gate else None
        self.value = context_branch(dim, depthwise, split)
        self.proj_2 = PointwiseConv2d(dim, dim)
        self.sigma = ChannelScale(dim) if feature_decomposition else None
        self.act = nn.SiLU()
        self.gate_act = choose("gate activation", gate_act, ACTIVATIONS)()
        self.value_act = choose("value activation", value_act, ACTIVATIONS)()

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        y = self.proj_1(x)
        if self.sigma is not None:
            y = y + self.sigma(y - nn.functional.adaptive_avg_pool2d(y, 1))
        return x + self.aggregate(self.act(y))


class ChannelAggregation(nn.Module):
    """An MLP with a DW3x3 inside that reallocates its hidden channels (Eq. 9, 10).

    Args:
        dim: Channels.
        hidden_dim: Hidden channels.
        aggregation: ``ca`` as in Eq. 10, ``se`` for squeeze-and-excitation in its place, or
            ``none`` for the plain MLP (Fig. 4c).
        drop_rate: Dropout after the activation and at the output.

    Raises:
        UserError: No such aggregation.
    """

    def __init__(
        self, dim: int, hidden_dim: int, *, aggregation: str = "ca", drop_rate: float = 0.0
    ) -> None:
        super().__init__()
        if aggregation not in CHANNEL_AGGREGATIONS:
            raise unknown("channel aggregation", aggregation, CHANNEL_AGGREGATIONS)
        self.fc1 = PointwiseConv2d(dim, hidden_dim)
        self.dwconv = DepthwiseConv2d(hidden_dim, 3)
        self.act = GELU()
        self.fc2 = PointwiseConv2d(hidden_dim, dim)
        self.drop = nn.Dropout(drop_rate)
        if aggregation == "ca":
            self.decompose = PointwiseConv2d(hidden_dim, 1)
            self.sigma = ChannelScale(hidden_dim)
        elif aggregation == "se":
            self.se = SqueezeExcite(hidden_dim)
        self.aggregation = aggregation

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        hidden = self.drop(self.act(self.dwconv(self.fc1(x))))
        if self.aggregation == "ca":
            hidden = hidden + self.sigma(hidden - self.act(self.decompose(hidden)))
        elif self.aggregation == "se":
            hidden = self.se(hidden)
        out: Tensor = self.drop(self.fc2(hidden))
        return out


class MogaBlock(nn.Module):
    """Spatial then channel aggregation, each normalised before and scaled after (Eq. 2, 3).

    Args:
        dim: Channels.
        attn: The spatial aggregation.
        mlp: The channel aggregation.
        norm: Makes a normalisation layer for a number of channels.
        drop_path: Rate of stochastic depth.
    """

    def __init__(
        self,
        dim: int,
        attn: SpatialAggregation,
        mlp: ChannelAggregation,
        norm: Callable[[int], nn.Module],
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.layer_scale_1 = nn.Parameter(torch.full((1, dim, 1, 1), INITIAL_SCALE))
        self.layer_scale_2 = nn.Parameter(torch.full((1, dim, 1, 1), INITIAL_SCALE))
        self.norm1 = norm(dim)
        self.attn = attn
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()
        self.norm2 = norm(dim)
        self.mlp = mlp

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        spatial: Tensor = self.drop_path(self.layer_scale_1 * self.attn(self.norm1(x)))
        x = x + spatial
        channel: Tensor = self.drop_path(self.layer_scale_2 * self.mlp(self.norm2(x)))
        return x + channel

    def fused(self) -> nn.Module:
        """The block for inference; see `mogabench.models.fuse`."""
        from mogabench.layers.fused_moga import fuse_moga_block

        return fuse_moga_block(self)

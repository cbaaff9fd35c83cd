"""The blocks that a translator is made of, one kind for each family.

Each is the family's own block, from timm, `mogabench.layers` or `mogabench.models`; what is here
fits it to maps ``(N, C, H, W)`` and to the names in OpenSTL's released weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from timm.layers import ConvMlp, GroupNorm1, Mlp, trunc_normal_
from timm.models.convnext import ConvNeXtBlock
from timm.models.metaformer import MetaFormerBlock, Pooling
from timm.models.mlp_mixer import MixerBlock
from timm.models.swin_transformer import SwinTransformerBlock
from timm.models.vision_transformer import Block as TransformerBlock
from torch import Tensor, nn

from mogabench.layers.convolutions import depthwise_conv
from mogabench.layers.hornet import HorBlock
from mogabench.layers.initialisation import init_conv, init_linear
from mogabench.layers.moga import ChannelAggregation, MogaBlock, SpatialAggregation
from mogabench.models.uniformer import LocalBlock
from mogabench.models.van import LargeKernelAttention, SpatialAttention, VanBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HEADS = 8
_HORNET_ORDER = 4


@dataclass(frozen=True)
class Place:
    """Where a block stands in the translator, which decides how it is built.

    Attributes:
        index: Its number, from 0.
        dim: Its channels.
        out_dim: Those of the next block.
        size: ``(H, W)`` of the map.
        mlp_ratio: Hidden over outer channels of its MLP.
        drop_path: Rate of stochastic depth.
    """

    index: int
    dim: int
    out_dim: int
    size: tuple[int, int]
    mlp_ratio: float
    drop_path: float

    @property
    def hidden_dim(self) -> int:
        """Hidden channels of the MLP."""
        return int(self.dim * self.mlp_ratio)

    @property
    def changes_width(self) -> bool:
        """Whether the number of channels changes after the block."""
        return self.dim != self.out_dim


class _OnTokens(nn.Module):
    """Mixed in before a block for tokens ``(N, H*W, C)``: makes it one for maps."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        tokens: Tensor = super().forward(x.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).reshape(x.shape)


class VisionBlock(_OnTokens, TransformerBlock):
    """timm's transformer block."""

    def __init__(self, place: Place, initial_scale: float | None = None) -> None:
        super().__init__(
            place.dim,
            _HEADS,
            mlp_ratio=place.mlp_ratio,
            qkv_bias=True,
            init_values=initial_scale,
            drop_path=place.drop_path,
            norm_layer=nn.LayerNorm,
        )


class PositionedBlock(VisionBlock):
    """The same with a DW3x3 for the position and scaled branches, as UniFormer has it."""

    def __init__(self, place: Place) -> None:
        super().__init__(place, initial_scale=1e-6)
        self.pos_embed = depthwise_conv(place.dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return super().forward(x + self.pos_embed(x))


class MlpMixerBlock(_OnTokens, MixerBlock):
    """timm's mixer block."""


class SwinBlock(SwinTransformerBlock):
    """timm's Swin block, without the mask that keeps a shifted window's parts apart.

    OpenSTL attends across the wrapped-round border, and so do its released weights.
    """

    def __init__(self, place: Place) -> None:
        window = min(_window(place.size[0]), *place.size)
        # As in the timm of OpenSTL: where one window holds the shorter side, neither is shifted.
        shifted = place.index % 2 == 1 and min(place.size) > window
        super().__init__(
            place.dim,
            place.size,
            num_heads=_HEADS,
            window_size=window,
            shift_size=window // 2 if shifted else 0,
            mlp_ratio=place.mlp_ratio,
            drop_path=place.drop_path,
        )
        self.register_load_state_dict_pre_hook(_drop_position_index)

    def get_attn_mask(self, *_: Any, **__: Any) -> None:
        """There is none."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        out: Tensor = super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return out


def _window(height: int) -> int:
    """The side of OpenSTL's windows on a map of that height."""
    return 7 if height % 7 == 0 else min(max(4, height // 16), 8)


def _drop_position_index(_: nn.Module, weights: dict[str, Any], prefix: str, *__: Any) -> None:
    """Takes out what older files store and the window's size implies."""
    weights.pop(f"{prefix}attn.relative_position_index", None)


class ConvMixerBlock(nn.Module):
    """A depth-wise convolution with a short cut, then a 1x1; each with GELU and batch norm."""

    def __init__(self, dim: int, kernel_size: int) -> None:
        super().__init__()
        self.conv_dw = depthwise_conv(dim, kernel_size)
        self.norm_1 = nn.BatchNorm2d(dim)
        self.conv_pw = nn.Conv2d(dim, dim, 1)
        self.norm_2 = nn.BatchNorm2d(dim)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        x = x + self.norm_1(self.act(self.conv_dw(x)))
        out: Tensor = self.norm_2(self.act(self.conv_pw(x)))
        return out


class GatedLargeKernel(nn.Module):
    """VAN's view of 21x21, gated by a sigmoid of itself (gSTA; Tan et al., SimVPv2, 2022)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv0 = depthwise_conv(dim, 5)
        self.conv_spatial = depthwise_conv(dim, 7, dilation=3)
        self.conv1 = nn.Conv2d(dim, 2 * dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        context, gate = self.conv1(self.conv_spatial(self.conv0(x))).chunk(2, dim=1)
        gated: Tensor = torch.sigmoid(gate) * context
        return gated


class TemporalAttention(LargeKernelAttention):
    """VAN's, whose factors a second factor for each channel scales (TAU; Tan et al., CVPR 2023)."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        hidden_dim = dim // max(dim // 16, 4)
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(dim, hidden_dim, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dim, dim, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        of_channels: Tensor = self.fc(self.avg_pool(x).flatten(1))
        return super().forward(x) * of_channels[..., None, None]


def _stored_as(block: Any, names: Mapping[str, str]) -> nn.Module:
    """Makes a block's state dict have other names.

    Args:
        block: The block.
        names: What the state dict is to call a tensor, by the block's own name of it.

    Returns:
        The same block.
    """

    def rename(_: nn.Module, weights: dict[str, Any], prefix: str, __: Any) -> None:
        for own, stored in names.items():
            weights[prefix + stored] = weights.pop(prefix + own)

    def restore(_: nn.Module, weights: dict[str, Any], prefix: str, *__: Any) -> None:
        for own, stored in names.items():
            if prefix + stored in weights:
                weights[prefix + own] = weights.pop(prefix + stored)

    block.register_state_dict_post_hook(rename)
    block.register_load_state_dict_pre_hook(restore)
    renamed: nn.Module = block
    return renamed


def _uniformer(place: Place) -> nn.Module:
    if place.index == 0 or place.changes_width:
        local = LocalBlock(place.dim, place.drop_path)
        local.mlp = ConvMlp(place.dim, place.hidden_dim, act_layer=nn.GELU)
        return local.apply(init_conv)
    scales = {"ls1.gamma": "gamma_1", "ls2.gamma": "gamma_2"}
    return _stored_as(PositionedBlock(place).apply(init_linear), scales)


def _mlpmixer(place: Place) -> nn.Module:
    height, width = place.size
    ratios = (0.5, place.mlp_ratio)
    block = MlpMixerBlock(place.dim, height * width, ratios, drop_path=place.drop_path)
    return block.apply(init_linear)


def _poolformer(place: Place) -> nn.Module:
    block = MetaFormerBlock(
        place.dim,
        Pooling,
        norm_layer=GroupNorm1,
        drop_path=place.drop_path,
        layer_scale_init_value=1e-5,
        res_scale_init_value=None,
    )
    block.mlp = Mlp(place.dim, place.hidden_dim, use_conv=True).apply(_init_narrow)
    names = {"layer_scale1.scale": "layer_scale_1", "layer_scale2.scale": "layer_scale_2"}
    return _stored_as(block, names)


def _init_narrow(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        trunc_normal_(module.weight, std=0.02)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


def _convnext(place: Place) -> nn.Module:
    block: nn.Module = ConvNeXtBlock(
        place.dim, mlp_ratio=place.mlp_ratio, conv_mlp=True, drop_path=place.drop_path
    )
    return block.apply(init_conv)


def _van(place: Place, unit: Callable[[int], nn.Module] | None = None) -> nn.Module:
    """VAN's block, or one around another large-kernel unit."""
    block: Any = VanBlock(place.dim, place.hidden_dim, place.drop_path)
    if unit is not None:
        block.attn.spatial_gating_unit = unit(place.dim)
    names = {f"mlp.dwconv.{part}": f"mlp.dwconv.dwconv.{part}" for part in ("weight", "bias")}
    names |= {f"{scale}.gamma": scale for scale in ("layer_scale_1", "layer_scale_2")}
    return _stored_as(block.apply(init_conv), names)


def _tau(place: Place) -> nn.Module:
    """VAN's block; PyTorch's own initial weights stay in the attention, as in OpenSTL."""
    block: Any = _van(place)
    block.attn = SpatialAttention(place.dim)
    block.attn.spatial_gating_unit = TemporalAttention(place.dim)
    whole: nn.Module = block
    return whole


def _hornet(place: Place) -> nn.Module:
    block = HorBlock(place.dim, place.hidden_dim, order=_HORNET_ORDER, drop_path=place.drop_path)
    return block.apply(init_conv).apply(init_linear)


def _moganet(place: Place) -> nn.Module:
    block = MogaBlock(
        place.dim,
        SpatialAggregation(place.dim),
        ChannelAggregation(place.dim, place.hidden_dim),
        nn.BatchNorm2d,
        place.drop_path,
    )
    names = {f"{part}.sigma.scale": f"{part}.sigma" for part in ("attn", "mlp")}
    return _stored_as(block.apply(init_conv), names)


BLOCKS: Mapping[str, Callable[[Place], nn.Module]] = {
    "vit": lambda place: VisionBlock(place).apply(init_linear),
    "swin": lambda place: SwinBlock(place).apply(init_linear),
    "uniformer": _uniformer,
    "mlpmixer": _mlpmixer,
    "convmixer": lambda place: ConvMixerBlock(place.dim, kernel_size=11).apply(init_conv),
    "poolformer": _poolformer,
    "convnext": _convnext,
    "van": _van,
    "hornet": _hornet,
    "moganet": _moganet,
    "gsta": lambda place: _van(place, GatedLargeKernel),
    "tau": _tau,
}
"""Makes a block for a place, with its initial weights as in OpenSTL, by the translator's name."""

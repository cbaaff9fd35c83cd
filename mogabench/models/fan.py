"""FAN-Hybrid: fully attentional blocks behind two stages of ConvNeXt (Zhou et al., ICML 2022).

What encloses the blocks (positions, class attention, classifier) is as in XCiT, and timm's.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
from timm.layers import DropPath, LayerNorm2d
from timm.models.convnext import ConvNeXtStage
from timm.models.xcit import Xcit
from torch import Tensor, nn

from mogabench.layers.backbone import Unscriptable
from mogabench.layers.convolutions import depthwise_conv
from mogabench.layers.initialisation import init_conv, init_linear
from mogabench.layers.registration import register_family
from mogabench.layers.transformer import attend, pad_to_patches

if TYPE_CHECKING:
    from collections.abc import Sequence

STEM_DIMS = (128, 256)
STRIDE = 16
MLP_RATIO = 4


class TokenMixing(nn.Module):
    """Attention over tokens."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, L, C)`` to the same shape."""
        key, value = self.kv(x).chunk(2, dim=-1)
        mixed: Tensor = self.proj(attend(self.q(x), key, value, self.heads))
        return mixed


class LocalMixing(nn.Module):
    """Two DW3x3 with GELU and batch norm between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = depthwise_conv(dim, 3)
        self.act = nn.GELU()
        self.bn = nn.BatchNorm2d(dim)
        self.conv2 = depthwise_conv(dim, 3)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Maps the tokens ``(N, L, C)`` of a map of that size to the same shape."""
        as_map = x.transpose(1, 2).reshape(*x.shape[::2], *size)
        mixed: Tensor = self.conv2(self.bn(self.act(self.conv1(as_map))))
        return mixed.flatten(2).transpose(1, 2)


class LocalMlp(nn.Module):
    """An MLP whose hidden tokens are mixed with their neighbours."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = MLP_RATIO * dim
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = LocalMixing(hidden)
        self.gamma = nn.Parameter(torch.ones(hidden))
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Maps the tokens ``(N, L, C)`` of a map of that size to the same shape."""
        hidden = self.fc1(x)
        mixed: Tensor = self.fc2(hidden + self.gamma * self.dwconv(hidden, size))
        return mixed


class ChannelProcessing(nn.Module):
    """Attention over channels: each gets a gate, from its likeness to the mean of its head."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.mlp_v = LocalMlp(dim)
        self.norm_v = nn.LayerNorm(dim)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Maps the tokens ``(N, L, C)`` of a map of that size to the same shape."""
        # (N, heads, L, C / heads), normalised over the tokens.
        query, key = (
            y.unflatten(2, (self.heads, -1)).transpose(1, 2).softmax(dim=2) for y in (self.q(x), x)
        )
        likeness = query.transpose(2, 3) @ key.mean(dim=3, keepdim=True)
        gates = (self.temperature * likeness.sigmoid()).flatten(1).unsqueeze(1)
        gated: Tensor = gates * self.norm_v(self.mlp_v(x, size))
        return gated


class FanBlock(nn.Module):
    """Attention over tokens, then over channels; each normalised before and scaled after."""

    def __init__(self, dim: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = TokenMixing(dim, heads)
        self.gamma1 = nn.Parameter(torch.ones(dim))
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = ChannelProcessing(dim, heads)
        self.gamma2 = nn.Parameter(torch.ones(dim))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """Maps the tokens ``(N, L, C)`` of a map of that size to the same shape."""
        x = x + self.drop_path(self.gamma1 * self.attn(self.norm1(x)))
        y = self.mlp(self.norm2(x), (height, width))
        mixed: Tensor = x + self.drop_path(self.gamma2 * y)
        return mixed


class HybridStem(nn.Module):
    """Two stages of ConvNeXt, then patches of 2x2."""

    def __init__(self, in_chans: int, depths: Sequence[int], dim: int) -> None:
        super().__init__()
        stem = nn.Sequential(
            nn.Conv2d(in_chans, STEM_DIMS[0], 4, stride=4), LayerNorm2d(STEM_DIMS[0])
        )
        fine, coarse = (
            ConvNeXtStage(
                STEM_DIMS[0],
                dim,
                stride=stride,
                depth=depth,
                ls_init_value=1e-6,
                conv_mlp=True,
                norm_layer=LayerNorm2d,
            )
            for dim, stride, depth in zip(STEM_DIMS, (1, 2), depths, strict=True)
        )
        stages = nn.Sequential(fine, coarse)
        self.backbone = nn.Sequential(OrderedDict(stem=stem, stages=stages))
        self.proj = nn.Conv2d(STEM_DIMS[-1], dim, 2, stride=2)

    def forward(self, images: Tensor) -> tuple[Tensor, torch.Size]:
        """Maps images ``(N, C, H, W)``, padded to whole patches, to tokens and their map's size."""
        x = self.proj(self.backbone(pad_to_patches(images, STRIDE)))
        return x.flatten(2).transpose(1, 2), x.shape[2:]


class FanHybrid(Unscriptable, Xcit):
    """XCiT with FAN's blocks.

    Args:
        dim: Channels.
        depth: Blocks.
        heads: Heads of each.
        stem_depths: Blocks of both stages of ConvNeXt.
        drop_path_rate: Stochastic depth of every block.
        head_init_scale: Factor of the classifier's first weights.
        **kwargs: As timm's XCiT has them.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        heads: int,
        stem_depths: Sequence[int],
        *,
        drop_path_rate: float = 0.0,
        head_init_scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(embed_dim=dim, depth=0, num_heads=heads, tokens_norm=True, **kwargs)
        self.patch_embed = HybridStem(self.in_chans, stem_depths, dim)
        self.blocks = nn.ModuleList(FanBlock(dim, heads, drop_path_rate) for _ in range(depth))
        self.feature_info = [
            {"num_chs": dim, "reduction": STRIDE, "module": f"blocks.{index}"}
            for index in range(depth)
        ]
        self.blocks.apply(init_linear).apply(init_conv)
        for parameter in self.head.parameters():
            parameter.data *= head_init_scale


register_family(
    __name__,
    FanHybrid,
    {
        # FAN-B-Hybrid, 50.5 M parameters; FAN-L-Hybrid, 76.9 M.
        "fan_base_hybrid": {"dim": 448, "depth": 16, "heads": 8, "stem_depths": (3, 3)},
        "fan_large_hybrid": {
            "dim": 480,
            "depth": 22,
            "heads": 10,
            "stem_depths": (3, 5),
            "head_init_scale": 0.001,
        },
    },
    features={"out_indices": 3, "feature_cls": "getter"},
    crop_pct=1.0,
    first_conv="patch_embed.backbone.stem.0",
    classifier="head",
    origin_url="https://github.com/NVlabs/FAN",
    paper_ids="arXiv:2204.12451",
)

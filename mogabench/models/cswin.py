"""CSWin: attention within stripes that cross (Dong et al., CVPR 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import torch
from timm.layers import LayerNorm2d, Mlp, calculate_drop_path_rates
from torch import Tensor, nn

from mogabench.layers.convolutions import depthwise_conv
from mogabench.layers.initialisation import init_linear
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming
from mogabench.layers.staged import Stage, StagedBackbone
from mogabench.layers.transformer import ToMap, TransformerBlock, attend
from mogabench.layers.windows import in_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.layers.backbone import HeadOptions

STRIPES = (1, 2, 7, None)
"""Width of the stripes in each stage; the last attends to the whole map."""

MLP_RATIO = 4


class ConvEmbed(nn.Module):
    """A strided convolution with overlapping patches, then layer norm."""

    def __init__(
        self, in_chans: int, dim: int, kernel_size: int, stride: int, padding: int
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_chans, dim, kernel_size, stride=stride, padding=padding)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, H/stride, W/stride, C)``."""
        embedded: Tensor = self.norm(self.conv(x).permute(0, 2, 3, 1))
        return embedded


class StripeAttention(nn.Module):
    """Attention within windows, with a DW3x3 of the values added as position encoding.

    Args:
        dim: Channels of the queries, as of the keys and of the values.
        heads: Number of heads.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.get_v = depthwise_conv(dim, 3)

    def forward(self, qkv: Tensor, size: tuple[int, int]) -> Tensor:
        """Maps ``(N, H, W, 3C)`` to ``(N, H, W, C)`` with windows of ``size``."""

        def attention(tokens: Tensor) -> Tensor:
            query, key, value = tokens.chunk(3, dim=-1)
            as_map = value.transpose(1, 2).reshape(len(value), -1, *size)
            position: Tensor = self.get_v(as_map).flatten(2).transpose(1, 2)
            return attend(query, key, value, self.heads) + position

        return in_windows(attention, qkv, size, centred=True)


class CrossShapedAttention(nn.Module):
    """Half of the heads attend within vertical stripes, half within horizontal ones.

    Args:
        dim: Channels.
        heads: Number of heads.
        stripe: Width of the stripes, tokens; None for attention among all.
    """

    def __init__(self, dim: int, heads: int, stripe: int | None) -> None:
        super().__init__()
        self.stripe = stripe
        self.qkv = nn.Linear(dim, 3 * dim)
        branches = 1 if stripe is None else 2
        self.attns = nn.ModuleList(
            StripeAttention(dim // branches, heads // branches) for _ in range(branches)
        )
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)`` to the same shape."""
        height, width = x.shape[1:3]
        sizes = [(height, width)]
        if self.stripe is not None:
            sizes = [(height, self.stripe), (self.stripe, width)]
        shares = self.qkv(x).view(*x.shape[:3], 3, -1).chunk(len(sizes), dim=-1)
        mixed = [
            attention(share.flatten(3), size)
            for attention, share, size in zip(self.attns, shares, sizes, strict=True)
        ]
        projected: Tensor = self.proj(torch.cat(mixed, dim=-1))
        return projected


class CSWinTransformer(StagedBackbone):
    """Four stages of transformer blocks with cross-shaped attention.

    Args:
        dim: Channels of the first stage; each later one has twice as many as the one before.
        depths: Blocks of each stage.
        heads: Heads of each stage.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        dim: int,
        depths: Sequence[int],
        heads: Sequence[int],
        *,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        dims = [dim * 2**index for index in range(len(depths))]
        drop_paths = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        embeds = [
            ConvEmbed(in_chans, dim, kernel_size=7, stride=4, padding=2),
            *(ConvEmbed(narrow, 2 * narrow, 3, stride=2, padding=1) for narrow in dims[:-1]),
        ]
        stages: list[Stage] = []
        for index, (embed, wide) in enumerate(zip(embeds, dims, strict=True)):
            blocks = [
                TransformerBlock(
                    wide,
                    CrossShapedAttention(wide, heads[index], STRIPES[index]),
                    Mlp(wide, MLP_RATIO * wide),
                    drop_path=rate,
                )
                for rate in drop_paths[index]
            ]
            stages.append((embed, nn.Sequential(*blocks), ToMap()))
        super().__init__(
            stages, dims, in_chans=in_chans, norm=LayerNorm2d(dims[-1], eps=1e-5), **head
        )
        self.apply(init_linear)


checkpoint_filter_fn = renaming(
    {
        r"^stage1_conv_embed\.0\.": "patch_embed1.conv.",
        r"^stage1_conv_embed\.2\.": "patch_embed1.norm.",
        r"^merge1\.": "patch_embed2.",
        r"^merge2\.": "patch_embed3.",
        r"^merge3\.": "patch_embed4.",
        r"^stage(\d)\.": r"blocks\1.",
        r"(^blocks\d\.\d+)\.(qkv|proj|attns)\.": r"\1.attn.\2.",
    }
)

register_family(
    __name__,
    CSWinTransformer,
    {
        # CSWin-T, 22.3 M parameters; CSWin-S, 34.6 M; CSWin-B, 77.4 M.
        "cswin_tiny": {"dim": 64, "depths": (1, 2, 21, 1), "heads": (2, 4, 8, 16)},
        "cswin_small": {"dim": 64, "depths": (2, 4, 32, 2), "heads": (2, 4, 8, 16)},
        "cswin_base": {"dim": 96, "depths": (2, 4, 32, 2), "heads": (4, 8, 16, 32)},
    },
    checkpoint_filter_fn=checkpoint_filter_fn,
    crop_pct=0.9,
    pool_size=(7, 7),
    first_conv="patch_embed1.conv",
    classifier="head",
    origin_url="https://github.com/microsoft/CSWin-Transformer",
    paper_ids="arXiv:2107.00652",
)

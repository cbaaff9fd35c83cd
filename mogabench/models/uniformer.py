"""UniFormer: convolution in the first two stages, attention in the last (Li et al., ICLR 2022).

For dense tasks the original keeps most of the third stage's attention within windows: the names
ending in ``_h14`` (detection) and ``_h32`` (segmentation) have windows of 14 and 32 tokens, with
every fourth block global. All forms of a size share their weights.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Unpack

from timm.layers import ConvMlp, DropPath, LayerNorm2d, Mlp, calculate_drop_path_rates
from timm.models.vision_transformer import Attention
from torch import Tensor, nn

from mogabench.layers.convolutions import depthwise_conv
from mogabench.layers.initialisation import init_linear
from mogabench.layers.registration import register_family
from mogabench.layers.staged import Stage, StagedBackbone
from mogabench.layers.transformer import TransformerBlock
from mogabench.layers.windows import in_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.layers.backbone import HeadOptions

DIMS = (64, 128, 320, 512)
PATCHES = (4, 2, 2, 2)
HEAD_DIM = 64
MLP_RATIO = 4
GLOBAL_EVERY = 4
"""In the windowed forms every so many blocks of the third stage attend globally."""


class LocalBlock(nn.Module):
    """Position by a DW3x3, mixing by a DW5x5 between two 1x1, then an MLP."""

    def __init__(self, dim: int, drop_path: float) -> None:
        super().__init__()
        self.pos_embed = depthwise_conv(dim, 3)
        self.norm1 = nn.BatchNorm2d(dim)
        self.conv1 = nn.Conv2d(dim, dim, 1)
        self.attn = depthwise_conv(dim, 5)
        self.conv2 = nn.Conv2d(dim, dim, 1)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.BatchNorm2d(dim)
        self.mlp = ConvMlp(dim, MLP_RATIO * dim, act_layer=nn.GELU)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        x = x + self.pos_embed(x)
        x = x + self.drop_path(self.conv2(self.attn(self.conv1(self.norm1(x)))))
        mixed: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return mixed


class MapAttention(Attention):
    """timm's attention among all tokens of a map, or among those of each window."""

    def __init__(self, dim: int, window: int | None) -> None:
        super().__init__(dim, dim // HEAD_DIM, qkv_bias=True)
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)`` to the same shape; windows are filled up with zeros."""
        if self.window is None:
            mixed: Tensor = super().forward(x.flatten(1, 2)).view_as(x)
            return mixed
        return in_windows(super().forward, x, (self.window, self.window))


class GlobalBlock(TransformerBlock):
    """Position by a DW3x3, then a transformer block."""

    def __init__(self, dim: int, drop_path: float, window: int | None = None) -> None:
        super().__init__(
            dim, MapAttention(dim, window), Mlp(dim, MLP_RATIO * dim), drop_path=drop_path, eps=1e-6
        )
        self.pos_embed = depthwise_conv(dim, 3)

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        x = x + self.pos_embed(x)
        return super().forward(x.permute(0, 2, 3, 1), *context).permute(0, 3, 1, 2)


class UniFormer(StagedBackbone):
    """Two stages of local blocks, two of global ones.

    Args:
        depths: Blocks of each stage.
        window: Side of the windows in the third stage; None for attention among all tokens.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        depths: Sequence[int],
        *,
        window: int | None = None,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        drop_paths = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        local, windowed = LocalBlock, partial(GlobalBlock, window=window)
        kinds = (
            [local] * depths[0],
            [local] * depths[1],
            [
                GlobalBlock if place % GLOBAL_EVERY == 0 else windowed
                for place in range(1, depths[2] + 1)
            ],
            [GlobalBlock] * depths[3],
        )
        stages: list[Stage] = []
        for index, dim in enumerate(DIMS):
            embed = nn.Sequential(
                OrderedDict(
                    proj=nn.Conv2d(
                        DIMS[index - 1] if index else in_chans,
                        dim,
                        PATCHES[index],
                        stride=PATCHES[index],
                    ),
                    norm=LayerNorm2d(dim, eps=1e-5),
                )
            )
            blocks = [
                kind(dim, rate) for kind, rate in zip(kinds[index], drop_paths[index], strict=True)
            ]
            stages.append((embed, nn.Sequential(*blocks), nn.Identity()))
        super().__init__(stages, DIMS, in_chans=in_chans, norm=nn.BatchNorm2d(DIMS[-1]), **head)
        self.apply(init_linear)

    @property
    def level_norm(self) -> nn.Module:
        """What the authors' detectors, segmentors and pose networks put behind each level."""
        return nn.LayerNorm(DIMS[-1], eps=1e-6)


register_family(
    __name__,
    UniFormer,
    {
        # UniFormer-S, 21.5 M parameters; UniFormer-B, 49.8 M.
        f"uniformer_{size}{form}": {"depths": depths, "window": window}
        for size, depths in (("small", (3, 4, 8, 3)), ("base", (5, 8, 20, 7)))
        for form, window in (("", None), ("_h14", 14), ("_h32", 32))
    },
    pool_size=(7, 7),
    first_conv="patch_embed1.proj",
    classifier="head",
    origin_url="https://github.com/Sense-X/UniFormer",
    paper_ids="arXiv:2201.09450",
)

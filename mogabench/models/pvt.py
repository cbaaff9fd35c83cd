"""PVT, the pyramid vision transformer in its first version (Wang et al., ICCV 2021).

Keys and values are taken from a map reduced by a strided convolution. For classification a class
token joins the last stage; the pyramid of dense tasks does without it, as in the released code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import torch
from timm.layers import Mlp, PatchEmbed, calculate_drop_path_rates
from torch import Tensor, nn

from mogabench.layers.initialisation import LINEAR_STD, init_linear
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming
from mogabench.layers.staged import Stage, StagedBackbone
from mogabench.layers.transformer import ToMap, TransformerBlock, attend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.layers.backbone import HeadOptions

DIMS = (64, 128, 320, 512)
HEADS = (1, 2, 5, 8)
MLP_RATIOS = (8, 8, 4, 4)
REDUCTIONS = (8, 4, 2, 1)
PATCHES = (4, 2, 2, 2)
SIDES = (56, 28, 14, 7)
"""Sides of the maps at 224², for which positions are learned."""

EPS = 1e-6


class PositionedEmbed(PatchEmbed):
    """Projects disjoint patches, normalises, and adds learned positions.

    Args:
        in_chans: Channels before.
        dim: Channels after.
        size: Side of a patch, pixels.
        side: Side of the map that the positions are learned for; they are resized for others.
        class_token: Whether the first of the positions is a class token's.
    """

    def __init__(
        self, in_chans: int, dim: int, size: int, side: int, *, class_token: bool = False
    ) -> None:
        super().__init__(None, size, in_chans, dim, norm_layer=nn.LayerNorm, output_fmt="NHWC")
        self.side = side
        self.pos_embed = nn.Parameter(torch.empty(1, side**2 + class_token, dim))
        nn.init.trunc_normal_(self.pos_embed, std=LINEAR_STD)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, H', W', C)``."""
        x = super().forward(x)
        grid = self.pos_embed[:, -(self.side**2) :]
        positions = grid.view(1, self.side, self.side, -1)
        if x.shape[1:3] != positions.shape[1:3]:
            positions = nn.functional.interpolate(
                positions.permute(0, 3, 1, 2), size=x.shape[1:3], mode="bilinear"
            ).permute(0, 2, 3, 1)
        positioned: Tensor = x + positions
        return positioned


class SpatialReductionAttention(nn.Module):
    """Attention to a map whose sides are divided by ``reduction``."""

    def __init__(self, dim: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.sr = nn.Conv2d(dim, dim, reduction, stride=reduction) if reduction > 1 else None
        self.norm = nn.LayerNorm(dim) if reduction > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)``, or ``(N, L, C)`` if nothing is reduced, to the same shape."""
        source = x
        if self.sr is not None:
            source = self.norm(self.sr(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        key, value = self.kv(source).flatten(1, -2).chunk(2, dim=-1)
        mixed = attend(self.q(x).flatten(1, -2), key, value, self.heads)
        projected: Tensor = self.proj(mixed).view_as(x)
        return projected


class PyramidVisionTransformer(StagedBackbone):
    """Four stages of transformer blocks with spatial-reduction attention.

    Args:
        depths: Blocks of each stage.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        **head: As ``HeadOptions`` has them; with any pooling the class token is classified.
    """

    patch_embed4: PositionedEmbed
    blocks4: nn.Sequential

    def __init__(
        self,
        depths: Sequence[int],
        *,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        drop_paths = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        stages: list[Stage] = []
        for index, (dim, rates) in enumerate(zip(DIMS, drop_paths, strict=True)):
            embed = PositionedEmbed(
                DIMS[index - 1] if index else in_chans,
                dim,
                PATCHES[index],
                SIDES[index],
                class_token=dim == DIMS[-1],
            )
            blocks = [
                TransformerBlock(
                    dim,
                    SpatialReductionAttention(dim, HEADS[index], REDUCTIONS[index]),
                    Mlp(dim, dim * MLP_RATIOS[index]),
                    drop_path=rate,
                    eps=EPS,
                )
                for rate in rates
            ]
            stages.append((embed, nn.Sequential(*blocks), ToMap()))
        super().__init__(stages, DIMS, in_chans=in_chans, **head)
        self.cls_token = nn.Parameter(torch.empty(1, 1, DIMS[-1]))
        nn.init.trunc_normal_(self.cls_token, std=LINEAR_STD)
        self.fc_norm: nn.Module = nn.LayerNorm(DIMS[-1], eps=EPS)
        self.apply(init_linear)

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` to a class token and a map's, ``(N, 1 + HW/32**2, 512)``."""
        for number in range(1, self.num_stages):
            x = self._forward_stage(x, number)
        return self._classified_stage(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Takes the class token, normalises and, unless ``pre_logits``, classifies it."""
        pooled: Tensor = self.fc_norm(x[:, 0] if self.global_pool.pool_type else x)
        return pooled if pre_logits else self.head(pooled)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Removes also the class token and its norm, which the pyramid does without."""
        self.register_parameter("cls_token", None)
        self.fc_norm = nn.Identity()
        return super().prune_intermediate_layers(indices, prune_norm, prune_head)

    def _classified_stage(self, x: Tensor) -> Tensor:
        """The last stage with the class token, ``(N, 320, H/16, W/16)`` to tokens."""
        cls_token = (self.cls_token + self.patch_embed4.pos_embed[:, :1]).expand(len(x), -1, -1)
        tokens = torch.cat([cls_token, self.patch_embed4(x).flatten(1, 2)], dim=1)
        return self._run(self.blocks4, tokens)

    def _last_features(self, given: Tensor, x: Tensor) -> Tensor:
        return x if self.cls_token is None else self._classified_stage(given)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters to keep from weight decay, as released."""
        return {"cls_token"}


checkpoint_filter_fn = renaming(
    {
        r"^block(\d)\.": r"blocks\1.",
        r"^pos_embed(\d)$": r"patch_embed\1.pos_embed",
        r"^norm\.": "fc_norm.",
    }
)

register_family(
    __name__,
    PyramidVisionTransformer,
    {
        "pvt_tiny": {"depths": (2, 2, 2, 2)},  # PVT-Tiny, 13.2 M parameters
        "pvt_small": {"depths": (3, 4, 6, 3)},  # PVT-Small, 24.5 M
        "pvt_medium": {"depths": (3, 4, 18, 3)},  # PVT-Medium, 44.2 M
        "pvt_large": {"depths": (3, 8, 27, 3)},  # PVT-Large, 61.4 M
    },
    features={"out_indices": (0, 1, 2, 3), "feature_cls": "getter"},
    checkpoint_filter_fn=checkpoint_filter_fn,
    pool_size=(7, 7),
    first_conv="patch_embed1.proj",
    classifier="head",
    origin_url="https://github.com/whai362/PVT",
    paper_ids="arXiv:2102.12122",
)

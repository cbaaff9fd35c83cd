"""MViTv1-T, the first multiscale vision transformer in the size of MViTv2-T (Li et al., CVPR 2022).

MViTv2's paper prints its detector without telling its details. What is known: MViTv2-T's blocks,
learned positions in place of relative ones, no residual pooling, and channels that grow in the MLP.
Keys and values are pooled to an eighth; with a quarter its detector would take far more than
printed.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models.mvitv2 import MultiScaleVit, MultiScaleVitCfg
from torch import Tensor, nn

from mogabench.layers.backbone import Unscriptable
from mogabench.layers.registration import register_family

PATCH_STRIDE = 4


class PositionedPatches(nn.Module):
    """Overlapping patches with learned positions, resized to the image.

    Args:
        embed: timm's embedding of the patches.
        dim: Channels of the tokens.
        side: Tokens per side of the images for which positions are learned.
    """

    def __init__(self, embed: nn.Module, dim: int, side: int) -> None:
        super().__init__()
        self.embed = embed
        self.positions = nn.Parameter(torch.empty(1, dim, side, side))
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, images: Tensor) -> tuple[Tensor, torch.Size]:
        """Maps images ``(N, C, H, W)`` to tokens ``(N, L, D)`` and the size of their map."""
        tokens, size = self.embed(images)
        positions: Tensor = self.positions
        if positions.shape[2:] != size:
            positions = nn.functional.interpolate(positions, size=size, mode="bicubic")
        return tokens + positions.flatten(2).transpose(1, 2), size


class MultiScaleVitV1(Unscriptable, MultiScaleVit):
    """timm's MViT for images of any size.

    Args:
        cfg: Its structure.
        **kwargs: As timm's has them, but for the size.
    """

    def __init__(self, cfg: MultiScaleVitCfg, **kwargs: Any) -> None:
        super().__init__(cfg, **kwargs)
        patches = self.get_submodule("patch_embed")
        self.patch_embed = PositionedPatches(patches, cfg.embed_dim[0], 224 // PATCH_STRIDE)


TINY = MultiScaleVitCfg(
    depths=(1, 2, 5, 2),
    expand_attn=False,
    residual_pooling=False,
    rel_pos_type="",
    stride_kv_adaptive=(8, 8),
)

register_family(
    __name__,
    MultiScaleVitV1,
    {"mvitv1_tiny": {"model_cfg": TINY}},  # MViTv1-T, 26.3 M parameters
    features={"out_indices": 4, "feature_cls": "getter"},
    first_conv="patch_embed.embed.proj",
    classifier="head.fc",
    paper_ids=("arXiv:2104.11227", "arXiv:2112.01526"),
)

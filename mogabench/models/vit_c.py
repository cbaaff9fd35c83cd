"""ViT-C, a vision transformer behind a convolutional stem (Xiao et al., NeurIPS 2021)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

from timm.layers import ConvNormAct, HybridEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from mogabench.layers.registration import register_family


def _one_giga(*, in_chans: int = 3, **kwargs: Any) -> nn.Module:
    """ViT-C at 1 GF: the stem stands in for one of twelve blocks."""
    widths = (in_chans, 24, 48, 96, 192)
    stem = nn.Sequential(*(ConvNormAct(*pair, 3, stride=2) for pair in pairwise(widths)))
    network: nn.Module = VisionTransformer(
        embed_layer=partial(HybridEmbed, backbone=stem),
        in_chans=in_chans,
        patch_size=1,
        embed_dim=192,
        depth=11,
        num_heads=3,
        mlp_ratio=3,
        **kwargs,
    )
    return network


register_family(
    __name__,
    _one_giga,
    {"vit_c": {}},  # 4.57 M parameters
    features={"out_indices": 3, "feature_cls": "getter"},
    fixed_input_size=True,
    first_conv="patch_embed.backbone.0.conv",
    classifier="head",
    paper_ids="arXiv:2106.14881",
)

"""ViT-C, a vision transformer behind a convolutional stem (Xiao et al., NeurIPS 2021)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

from timm.layers import ConvNormAct, HybridEmbed
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer
from torch import nn

default_cfgs = generate_default_cfgs(
    {
        "vit_c.untrained": {
            "fixed_input_size": True,
            "first_conv": "patch_embed.backbone.0.conv",
            "classifier": "head",
            "paper_ids": "arXiv:2106.14881",
        }
    }
)


@register_model
def vit_c(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """ViT-C at 1 GF, 4.57 M parameters: the stem stands in for one of twelve blocks."""
    widths = (kwargs.get("in_chans", 3), 24, 48, 96, 192)
    stem = nn.Sequential(*(ConvNormAct(*pair, 3, stride=2) for pair in pairwise(widths)))
    return build_model_with_cfg(
        VisionTransformer,
        "vit_c",
        pretrained,
        feature_cfg={"out_indices": 3, "feature_cls": "getter"},
        embed_layer=partial(HybridEmbed, backbone=stem),
        patch_size=1,
        embed_dim=192,
        depth=11,
        num_heads=3,
        mlp_ratio=3,
        **kwargs,
    )

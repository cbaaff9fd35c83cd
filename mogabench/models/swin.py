"""Swin-1G, the small Swin Transformer of Table 2."""

from __future__ import annotations

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.swin_transformer import SwinTransformer

default_cfgs = generate_default_cfgs(
    {
        "swin_1g.untrained": {
            "fixed_input_size": True,
            "pool_size": (7, 7),
            "crop_pct": 0.9,
            "first_conv": "patch_embed.proj",
            "classifier": "head.fc",
            "paper_ids": "arXiv:2103.14030",
        }
    }
)


@register_model
def swin_1g(pretrained: bool = False, **kwargs: Any) -> SwinTransformer:
    """Swin-1G, 7.30 M parameters: half the channels of Swin-T in as many heads.

    No source gives the configuration; this one has the printed parameters.
    """
    return build_model_with_cfg(
        SwinTransformer,
        "swin_1g",
        pretrained,
        feature_cfg={"out_indices": (0, 1, 2, 3), "flatten_sequential": True},
        embed_dim=48,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        **kwargs,
    )

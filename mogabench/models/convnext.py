"""ConvNeXt-XT, the small ConvNeXt of Table 2 (first measured by Zhang et al., ECCV 2022)."""

from __future__ import annotations

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.convnext import ConvNeXt

default_cfgs = generate_default_cfgs(
    {
        "convnext_xtiny.untrained": {
            "pool_size": (7, 7),
            "first_conv": "stem.0",
            "classifier": "head.fc",
            "paper_ids": "arXiv:2201.03545",
        }
    }
)


@register_model
def convnext_xtiny(pretrained: bool = False, **kwargs: Any) -> ConvNeXt:
    """ConvNeXt-XT, 7.44 M parameters: half the channels of ConvNeXt-T."""
    return build_model_with_cfg(
        ConvNeXt,
        "convnext_xtiny",
        pretrained,
        feature_cfg={"out_indices": (0, 1, 2, 3), "flatten_sequential": True},
        depths=(3, 3, 9, 3),
        dims=(48, 96, 192, 384),
        **kwargs,
    )

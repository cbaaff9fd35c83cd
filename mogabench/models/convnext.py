"""ConvNeXt-XT, the small ConvNeXt of Table 2 (first measured by Zhang et al., ECCV 2022)."""

from __future__ import annotations

from timm.models.convnext import ConvNeXt

from mogabench.layers.registration import register_family

register_family(
    __name__,
    ConvNeXt,
    # Half the channels of ConvNeXt-T, 7.44 M parameters.
    {"convnext_xtiny": {"depths": (3, 3, 9, 3), "dims": (48, 96, 192, 384)}},
    features={"out_indices": (0, 1, 2, 3), "flatten_sequential": True},
    pool_size=(7, 7),
    first_conv="stem.0",
    classifier="head.fc",
    paper_ids="arXiv:2201.03545",
)

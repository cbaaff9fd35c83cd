"""Swin-1G, the small Swin Transformer of Table 2."""

from __future__ import annotations

from timm.models.swin_transformer import SwinTransformer

from mogabench.layers.registration import register_family

register_family(
    __name__,
    SwinTransformer,
    # Half the channels of Swin-T in as many heads, 7.30 M parameters. No source gives the
    # configuration; this one has the printed parameters.
    {"swin_1g": {"embed_dim": 48, "depths": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24)}},
    features={"out_indices": (0, 1, 2, 3), "flatten_sequential": True},
    fixed_input_size=True,
    pool_size=(7, 7),
    crop_pct=0.9,
    first_conv="patch_embed.proj",
    classifier="head.fc",
    paper_ids="arXiv:2103.14030",
)

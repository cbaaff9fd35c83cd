"""BoTNet-T7, the large bottleneck transformer of Table 3 (Srinivas et al., CVPR 2021)."""

from __future__ import annotations

from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg

from mogabench.layers.registration import register_family

_SQUEEZE_AFTER_LAST_CONV = {"attn_last": True}

# Squeeze-and-excitation, then twelve blocks of attention. The details are inferred: this
# configuration has the printed parameters and operations.
_T7 = ByoModelCfg(
    blocks=(
        ByoBlockCfg("bottle", d=3, c=256, s=1, br=0.25, block_kwargs=_SQUEEZE_AFTER_LAST_CONV),
        ByoBlockCfg("bottle", d=4, c=512, s=2, br=0.25, block_kwargs=_SQUEEZE_AFTER_LAST_CONV),
        ByoBlockCfg("bottle", d=23, c=1024, s=2, br=0.25, block_kwargs=_SQUEEZE_AFTER_LAST_CONV),
        ByoBlockCfg("self_attn", d=12, c=2048, s=1, br=0.25),
    ),
    stem_chs=64,
    stem_type="7x7",
    stem_pool="maxpool",
    attn_layer="se",
    attn_kwargs={"rd_ratio": 0.25},
    self_attn_layer="bottleneck",
    fixed_input_size=True,
)

register_family(
    __name__,
    ByobNet,
    {"botnet_t7": {"model_cfg": _T7}},  # 78.6 M parameters
    features={"out_indices": (0, 1, 2, 3), "flatten_sequential": True},
    input_size=(3, 256, 256),
    fixed_input_size=True,
    pool_size=(16, 16),
    first_conv="stem.conv1.conv",
    classifier="head.fc",
    paper_ids="arXiv:2101.11605",
)

"""Mobile-Former: a MobileNet beside six tokens, with bridges both ways (Chen et al., CVPR 2022)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import torch
from torch import Tensor, nn

from mogabench.layers.convolutions import conv_norm
from mogabench.layers.mobileformer import TOKEN_DIM, Bridge, Lite, Mobile, MobileDown, Streams
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming
from mogabench.layers.staged import Stage, StagedBackbone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.layers.backbone import HeadOptions

TOKENS = 6
LAST_EXPANSION = 6
"""Channels of the last convolution per channel of the last map."""


class Stem(nn.Module):
    """A strided convolution, beside the tokens that images start with."""

    def __init__(self, in_chans: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(*conv_norm(in_chans, dim, 3, stride=2), nn.ReLU6())
        self.tokens = nn.Embedding(TOKENS, TOKEN_DIM)

    def forward(self, images: Tensor) -> Streams:
        """Maps images ``(N, C, H, W)`` to both streams at stride 2."""
        return self.conv(images), self.tokens.weight.expand(len(images), -1, -1)


class Place(NamedTuple):
    """One block: whether it halves the map, its expansion, its channels."""

    halves: bool
    expansion: int
    dim: int


class MobileFormer(StagedBackbone):
    """Stages of both streams; the classifier sees the last map and the first token.

    Args:
        stem_dim: Channels of the stem and of the first block.
        stem_expansion: Of the first block.
        places: The blocks of each stage after it, of which the first halves the map.
        head_dim: Channels before the classifier.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last block; it grows linearly with the blocks.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        stem_dim: int,
        stem_expansion: int,
        places: Sequence[Sequence[Place]],
        head_dim: int,
        *,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        total = 1 + sum(map(len, places))
        stages: list[Stage] = []
        before, passed = stem_dim, 1
        for stage in places:
            blocks: list[nn.Module] = [] if stages else [Lite(stem_dim, stem_expansion)]
            for place in stage:
                passed += 1
                kind = MobileDown if place.halves else Mobile
                rate = drop_path_rate * passed / total
                blocks.append(kind(before, place.dim, place.expansion, rate))
                before = place.dim
            embed = nn.Identity() if stages else Stem(in_chans, stem_dim)
            stages.append((embed, nn.Sequential(*blocks), nn.Identity()))
        super().__init__(
            stages,
            [stage[-1].dim for stage in places],
            in_chans=in_chans,
            head_hidden_size=head_dim,
            **head,
        )
        self.pre_head = _pre_head(before, head_dim, drop_path_rate)
        self.apply(_init_weights)

    def forward_head(self, x: Any, pre_logits: bool = False) -> Tensor:
        """Joins the pooled map and the first token and, unless ``pre_logits``, classifies.

        Without pooling there is nothing to join: the last map comes out.
        """
        feature_map: Tensor
        feature_map, tokens = x
        if not self.global_pool.pool_type:
            return feature_map
        token = self.pre_head["local_global"](feature_map, tokens)[:, 0]
        wide = nn.functional.relu6(self.pre_head["conv"](feature_map))
        pooled = nn.functional.hardswish(self.global_pool(wide))
        joined: Tensor = self.pre_head["fc"](torch.cat([pooled, token], dim=1))
        return joined if pre_logits else self.head(joined)

    def _prune_head(self) -> None:
        super()._prune_head()
        self.pre_head = nn.ModuleDict()


def _pre_head(dim: int, head_dim: int, drop_path: float) -> nn.ModuleDict:
    wide = LAST_EXPANSION * dim
    return nn.ModuleDict(
        {
            "local_global": Bridge(dim, drop_path),
            "conv": conv_norm(dim, wide, 1),
            "fc": nn.Sequential(
                nn.Linear(wide + TOKEN_DIM, head_dim), nn.BatchNorm1d(head_dim), nn.Hardswish()
            ),
        }
    )


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


_PLACES = (
    (Place(True, 6, 24), Place(False, 4, 24)),
    (Place(True, 6, 48), Place(False, 4, 48)),
    (Place(True, 6, 96), Place(False, 4, 96), Place(False, 6, 128), Place(False, 6, 128)),
    (Place(True, 6, 192), Place(False, 6, 192), Place(False, 6, 192)),
)
_STAGE_STARTS = (0, 3, 5, 9, 12)

checkpoint_filter_fn = renaming(
    {
        # The released sequence has an empty place where other sizes shuffle channels.
        r"^features\.0\.conv\.4\.": "blocks1.0.conv.3.",
        r"^features\.0\.conv\.5\.": "blocks1.0.conv.4.",
        **{
            rf"^features\.{index}\.": f"blocks{number}.{index - start}."
            for number, (start, end) in enumerate(pairwise(_STAGE_STARTS), 1)
            for index in range(start, end)
        },
        r"^stem\.": "patch_embed1.conv.",
        r"^tokens\.": "patch_embed1.tokens.",
        r"^local_global\.": "pre_head.local_global.",
        r"^classifier\.conv\.1\.": "pre_head.conv.0.",
        r"^classifier\.conv\.2\.": "pre_head.conv.1.",
        r"^classifier\.fc\.": "pre_head.fc.",
        r"^classifier\.classifier\.1\.": "head.",
    }
)

register_family(
    __name__,
    MobileFormer,
    {
        # 294 M operations, 11.4 M parameters.
        "mobileformer_294m": {
            "stem_dim": 16,
            "stem_expansion": 2,
            "places": _PLACES,
            "head_dim": 1920,
        }
    },
    features={"out_indices": (0, 1, 2, 3), "feature_cls": "getter"},
    checkpoint_filter_fn=checkpoint_filter_fn,
    interpolation="bilinear",
    pool_size=(7, 7),
    first_conv="patch_embed1.conv.0",
    classifier="head",
    origin_url="https://github.com/AAboys/MobileFormer",
    paper_ids="arXiv:2108.05895",
)

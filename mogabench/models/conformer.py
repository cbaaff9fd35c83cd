"""Conformer: a ResNet and a transformer side by side (Peng et al., ICCV 2021).

Both streams run through all stages: ``(map, tokens)``, of which the map is the feature map.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Unpack

import torch
from timm.layers import calculate_drop_path_rates
from torch import Tensor, nn

from mogabench.layers.conformer import (
    EMBED_DIM,
    Bottleneck,
    Streams,
    TwoStreamBlock,
    transformer_block,
)
from mogabench.layers.initialisation import init_linear
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming
from mogabench.layers.staged import Stage, StagedBackbone
from mogabench.layers.transformer import pad_to_patches

if TYPE_CHECKING:
    from mogabench.layers.backbone import HeadOptions

STEM_DIM = 64
DIMS = (256, 512, 1024, 1024)
DEPTHS = (3, 4, 3, 1)
"""Blocks of each stage with both streams; one transformer block goes before."""


class Streamer(nn.Module):
    """ResNet's stem, then the first block of either stream.

    Args:
        in_chans: Channels of the images.
        patch: Side of a patch, pixels; images are padded with zeros to a multiple of it.
    """

    def __init__(self, in_chans: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.stem = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(in_chans, STEM_DIM, 7, stride=2, padding=3, bias=False),
                bn1=nn.BatchNorm2d(STEM_DIM),
                act1=nn.ReLU(),
                maxpool=nn.MaxPool2d(3, stride=2, padding=1),
            )
        )
        self.conv_1 = Bottleneck(STEM_DIM, DIMS[0], project=True)
        self.cls_token = nn.Parameter(torch.empty(1, 1, EMBED_DIM))
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        self.trans_patch_conv = nn.Conv2d(STEM_DIM, EMBED_DIM, patch // 4, stride=patch // 4)
        self.trans_1 = transformer_block(drop_path=0.0)

    def forward(self, images: Tensor) -> Streams:
        """Maps images ``(N, C, H, W)`` to both streams at stride 4."""
        x = self.stem(pad_to_patches(images, self.patch))
        patches = self.trans_patch_conv(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1)
        return self.conv_1(x)[0], self.trans_1(tokens)


class Conformer(StagedBackbone):
    """Stages of two streams, each with a classifier of its own; their logits are added.

    In training, too: the authors add the two losses instead.

    Args:
        patch: Side of a patch, pixels.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last transformer block; it grows linearly from 0 at
            the first.
        **head: As ``HeadOptions`` has them; the pooling is that of the map.
    """

    def __init__(
        self,
        patch: int,
        *,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        _, *rates = calculate_drop_path_rates(drop_path_rate, 1 + sum(DEPTHS))
        stages: list[Stage] = []
        before = DIMS[0]
        for index, (dim, depth) in enumerate(zip(DIMS, DEPTHS, strict=True)):
            stride = 2 ** min(index, 2)
            blocks = []
            for place in range(depth):
                blocks.append(
                    TwoStreamBlock(
                        before,
                        dim,
                        patch // (4 * stride),
                        2 if before != dim else 1,
                        last=index == len(DIMS) - 1,
                        drop_path=rates[sum(DEPTHS[:index]) + place],
                    )
                )
                before = dim
            embed = nn.Identity() if index else Streamer(in_chans, patch)
            stages.append((embed, nn.Sequential(*blocks), nn.Identity()))
        both = DIMS[-1] + EMBED_DIM
        super().__init__(stages, DIMS, in_chans=in_chans, head_hidden_size=both, **head)
        self.trans_norm: nn.Module = nn.LayerNorm(EMBED_DIM)
        self.apply(_init_weights)

    def forward_head(self, x: Any, pre_logits: bool = False) -> Tensor:
        """The sum of both streams' logits.

        If ``pre_logits`` or without a classifier, what the classifiers get, side by side; without
        pooling the last map.
        """
        feature_map, tokens = x
        pooled: Tensor = self.global_pool(feature_map)
        if not self.global_pool.pool_type:
            return pooled
        token = self.trans_norm(tokens[:, 0])
        if pre_logits or self.num_classes == 0:
            return torch.cat([pooled, token], dim=1)
        summed: Tensor = self.head(pooled) + self.trans_head(token)
        return summed

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replaces both classifiers by new ones; pooling stays as it is if None."""
        super().reset_classifier(num_classes, global_pool)
        self.trans_head.to(next(self.parameters()))

    @property
    def _classifier_inputs(self) -> int:
        return self.num_features

    def _prune_head(self) -> None:
        super()._prune_head()
        self.trans_norm = nn.Identity()

    def _make_head(self, num_classes: int, global_pool: str) -> None:
        super()._make_head(num_classes, global_pool)
        self.trans_head = nn.Linear(EMBED_DIM, num_classes) if num_classes else nn.Identity()
        self.trans_head.apply(init_linear)


def _init_weights(module: nn.Module) -> None:
    init_linear(module)
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


_FIRST_OF_STAGE = [2 + sum(DEPTHS[:index]) for index in range(len(DEPTHS))]

checkpoint_filter_fn = renaming(
    {
        **{
            rf"^conv_trans_{first + place}\.": f"blocks{number}.{place}."
            for number, (first, depth) in enumerate(zip(_FIRST_OF_STAGE, DEPTHS, strict=True), 1)
            for place in range(depth)
        },
        r"^(conv1|bn1)\.": r"patch_embed1.stem.\1.",
        r"^(conv_1\.|trans_1\.|trans_patch_conv\.|cls_token$)": r"patch_embed1.\1",
        r"^conv_cls_head\.": "head.",
        r"^trans_cls_head\.": "trans_head.",
    }
)

register_family(
    __name__,
    Conformer,
    {
        "conformer_small_patch16": {"patch": 16},  # Conformer-S/16, 37.7 M parameters
        "conformer_small_patch32": {"patch": 32},  # Conformer-S/32, 38.9 M
    },
    features={"out_indices": (0, 1, 2, 3), "feature_cls": "getter"},
    checkpoint_filter_fn=checkpoint_filter_fn,
    pool_size=(7, 7),
    first_conv="patch_embed1.stem.conv1",
    classifier=("head", "trans_head"),
    origin_url="https://github.com/pengzhiliang/Conformer",
    paper_ids="arXiv:2105.03889",
)

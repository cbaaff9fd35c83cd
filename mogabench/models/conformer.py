"""Conformer: a ResNet and a transformer side by side (Peng et al., ICCV 2021).

Both streams run through all stages: ``(map, tokens)``, of which the map is the feature map.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Any

import torch
from timm.layers import Mlp, calculate_drop_path_rates
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import Attention
from torch import Tensor, nn

from mogabench.layers.initialisation import init_linear
from mogabench.layers.released import renaming
from mogabench.layers.staged import Stage, StagedBackbone
from mogabench.layers.transformer import TransformerBlock

Streams = tuple[Tensor, Tensor]
"""A map ``(N, C, H, W)``, and a class token with one token per patch ``(N, 1 + L, D)``."""

STEM_DIM = 64
EMBED_DIM = 384
HEADS = 6
MLP_RATIO = 4
EXPANSION = 4
"""Channels of a bottleneck block per channel between its convolutions."""

DIMS = (256, 512, 1024, 1024)
DEPTHS = (3, 4, 3, 1)
"""Blocks of each stage with both streams; one transformer block goes before."""

batch_norm = partial(nn.BatchNorm2d, eps=1e-6)


class Bottleneck(nn.Module):
    """ResNet's block, with the hidden map before and after its 3x3 open to the other stream.

    Args:
        in_chans: Channels before.
        dim: Channels after.
        stride: Of the 3x3.
        project: Whether the shortcut is a convolution.
    """

    def __init__(self, in_chans: int, dim: int, stride: int = 1, *, project: bool = False) -> None:
        super().__init__()
        hidden = dim // EXPANSION
        self.conv1 = nn.Conv2d(in_chans, hidden, 1, bias=False)
        self.bn1 = batch_norm(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, stride=stride, padding=1, bias=False)
        self.bn2 = batch_norm(hidden)
        self.conv3 = nn.Conv2d(hidden, dim, 1, bias=False)
        self.bn3 = batch_norm(dim)
        self.act = nn.ReLU()
        if project:
            self.residual_conv = nn.Conv2d(in_chans, dim, 1, stride=stride, bias=False)
            self.residual_bn = batch_norm(dim)
        self.project = project

    def forward(self, x: Tensor, added: Tensor | None = None) -> Streams:
        """Maps ``(N, C_in, H, W)`` to the output and the hidden map after the 3x3.

        Args:
            x: The input.
            added: What the hidden map before the 3x3 gains.
        """
        hidden = self.act(self.bn1(self.conv1(x)))
        hidden = self.act(self.bn2(self.conv2(hidden if added is None else hidden + added)))
        shortcut = self.residual_bn(self.residual_conv(x)) if self.project else x
        return self.act(self.bn3(self.conv3(hidden)) + shortcut), hidden


class ToTokens(nn.Module):
    """A map's hidden channels as tokens, averaged over the patches."""

    def __init__(self, dim: int, stride: int) -> None:
        super().__init__()
        self.conv_project = nn.Conv2d(dim, EMBED_DIM, 1)
        self.sample_pooling = nn.AvgPool2d(stride)
        self.ln = nn.LayerNorm(EMBED_DIM, eps=1e-6)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to ``(N, L, D)``."""
        pooled = self.sample_pooling(self.conv_project(x))
        tokens: Tensor = self.act(self.ln(pooled.flatten(2).transpose(1, 2)))
        return tokens


class ToHiddenMap(nn.Module):
    """Tokens as a map's hidden channels, repeated over the patches."""

    def __init__(self, dim: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv_project = nn.Conv2d(EMBED_DIM, dim, 1)
        self.bn = batch_norm(dim)
        self.act = nn.ReLU()

    def forward(self, tokens: Tensor, size: torch.Size) -> Tensor:
        """Maps ``(N, 1 + L, D)`` to ``(N, C, *size)``."""
        height, width = (side // self.stride for side in size)
        patches = tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, height, width)
        x = self.act(self.bn(self.conv_project(patches)))
        return nn.functional.interpolate(x, size=size)


class TwoStreamBlock(nn.Module):
    """A bottleneck block gives to a transformer block, which gives to a second bottleneck.

    Args:
        in_chans: Channels of the map before.
        dim: Channels of the map after.
        patch: Side of a patch, cells of the map.
        stride: Of the first bottleneck.
        last: Whether the second bottleneck has stride 2.
        drop_path: Rate of stochastic depth of the transformer block.
    """

    def __init__(
        self, in_chans: int, dim: int, patch: int, stride: int, *, last: bool, drop_path: float
    ) -> None:
        super().__init__()
        self.cnn_block = Bottleneck(in_chans, dim, stride, project=in_chans != dim)
        self.fusion_block = Bottleneck(dim, dim, 2 if last else 1, project=last)
        self.squeeze_block = ToTokens(dim // EXPANSION, patch)
        self.expand_block = ToHiddenMap(dim // EXPANSION, patch)
        self.trans_block = transformer_block(drop_path)

    def forward(self, streams: Streams) -> Streams:
        """Maps both streams."""
        x, tokens = streams
        x, hidden = self.cnn_block(x)
        # The class token, of which the map knows nothing, is doubled.
        given = torch.cat([tokens[:, :1], self.squeeze_block(hidden)], dim=1)
        tokens = self.trans_block(given + tokens)
        x, _ = self.fusion_block(x, self.expand_block(tokens, hidden.shape[2:]))
        return x, tokens


def transformer_block(drop_path: float) -> TransformerBlock:
    """A transformer block with Conformer's sizes."""
    return TransformerBlock(
        EMBED_DIM,
        Attention(EMBED_DIM, HEADS, qkv_bias=True),
        Mlp(EMBED_DIM, MLP_RATIO * EMBED_DIM),
        drop_path=drop_path,
        eps=1e-6,
    )


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
        missing_rows, missing_columns = (-side % self.patch for side in images.shape[2:])
        x = self.stem(nn.functional.pad(images, (0, missing_columns, 0, missing_rows)))
        patches = self.trans_patch_conv(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1)
        return self.conv_1(x)[0], self.trans_1(tokens)


class Conformer(StagedBackbone):
    """Stages of two streams, each with a classifier of its own; their logits are added.

    In training, too: the authors add the two losses instead.

    Args:
        patch: Side of a patch, pixels.
        in_chans: Channels of the images.
        num_classes: Outputs of the classifier; 0 for none.
        global_pool: timm's name of the pooling before the map's classifier; empty for none.
        drop_path_rate: Stochastic depth of the last transformer block; it grows linearly from 0 at
            the first.
    """

    def __init__(
        self,
        patch: int,
        *,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = "avg",
        drop_path_rate: float = 0.0,
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
        super().__init__(
            stages, DIMS, in_chans=in_chans, num_classes=num_classes, global_pool=global_pool
        )
        self.trans_norm: nn.Module = nn.LayerNorm(EMBED_DIM)
        self.apply(_init_weights)

    def forward_head(self, x: Any, pre_logits: bool = False) -> Any:
        """The sum of both streams' logits; if ``pre_logits``, what the classifiers get."""
        feature_map, tokens = x
        pooled, token = self.global_pool(feature_map), self.trans_norm(tokens[:, 0])
        if pre_logits:
            return pooled, token
        if self.num_classes == 0:
            return pooled
        return self.head(pooled) + self.trans_head(token)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Removes also the norm of the class token."""
        before = self.num_stages
        chosen = super().prune_intermediate_layers(indices, prune_norm, prune_head)
        if prune_head or self.num_stages < before:
            self.trans_norm = nn.Identity()
        return chosen

    def _feature_map(self, x: Streams) -> Tensor:
        return x[0]

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

default_cfgs = generate_default_cfgs(
    {
        f"conformer_small_patch{patch}.untrained": {
            "pool_size": (7, 7),
            "first_conv": "patch_embed1.stem.conv1",
            "classifier": ("head", "trans_head"),
            "origin_url": "https://github.com/pengzhiliang/Conformer",
            "paper_ids": "arXiv:2105.03889",
        }
        for patch in (16, 32)
    }
)


def _create_conformer(variant: str, pretrained: bool, **kwargs: Any) -> Conformer:
    model: Conformer = build_model_with_cfg(
        Conformer,
        variant,
        pretrained,
        pretrained_filter_fn=checkpoint_filter_fn,
        feature_cfg={"out_indices": (0, 1, 2, 3), "feature_cls": "getter"},
        **kwargs,
    )
    return model


@register_model
def conformer_small_patch16(pretrained: bool = False, **kwargs: Any) -> Conformer:
    """Conformer-S/16, 37.7 M parameters."""
    return _create_conformer("conformer_small_patch16", pretrained, patch=16, **kwargs)


@register_model
def conformer_small_patch32(pretrained: bool = False, **kwargs: Any) -> Conformer:
    """Conformer-S/32, 38.8 M parameters."""
    return _create_conformer("conformer_small_patch32", pretrained, patch=32, **kwargs)

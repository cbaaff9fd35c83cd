"""Mobile-Former: a MobileNet beside six tokens, with bridges both ways (Chen et al., CVPR 2022)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from timm.layers import DropPath
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

from mogabench.layers.released import renaming
from mogabench.layers.staged import Stage, StagedBackbone
from mogabench.layers.transformer import attend

if TYPE_CHECKING:
    from collections.abc import Sequence

Streams = tuple[Tensor, Tensor]
"""A map ``(N, C, H, W)`` and the tokens ``(N, T, D)``."""

TOKENS = 6
TOKEN_DIM = 192
BRIDGE_HEADS = 2
TOKEN_HEADS = 4
LAST_EXPANSION = 6
"""Channels of the last convolution per channel of the last map."""


class Bridge(nn.Module):
    """Attention of the tokens to a map, whose channels are the keys and values themselves."""

    def __init__(self, dim: int, drop_path: float) -> None:
        super().__init__()
        self.alpha = nn.Sequential(nn.Linear(TOKEN_DIM, dim), nn.Hardsigmoid())
        self.q = nn.Linear(TOKEN_DIM, dim)
        self.proj = nn.Linear(dim, TOKEN_DIM)
        self.layer_norm = nn.LayerNorm(TOKEN_DIM)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Maps the tokens ``(N, T, D)`` to the same shape."""
        places = x.flatten(2).transpose(1, 2)
        seen = attend(self.q(tokens), places, places, BRIDGE_HEADS)
        seen = self.proj(2 * self.alpha(tokens) * seen)
        normed: Tensor = self.layer_norm(tokens + self.drop_path(seen))
        return normed


class TokenBlock(nn.Module):
    """Attention among the tokens, then an MLP; each normalised after."""

    def __init__(self, drop_path: float) -> None:
        super().__init__()
        self.q = nn.Linear(TOKEN_DIM, TOKEN_DIM)
        self.channel_mlp = nn.Linear(TOKEN_DIM, TOKEN_DIM)
        self.layer_norm = nn.LayerNorm(TOKEN_DIM)
        self.ffn = nn.Sequential(
            nn.Linear(TOKEN_DIM, 2 * TOKEN_DIM), nn.GELU(), nn.Linear(2 * TOKEN_DIM, TOKEN_DIM)
        )
        self.ffn_norm = nn.LayerNorm(TOKEN_DIM)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps the tokens ``(N, T, D)`` to the same shape."""
        mixed = self.channel_mlp(attend(self.q(tokens), tokens, tokens, TOKEN_HEADS))
        tokens = self.layer_norm(tokens + self.drop_path(mixed))
        normed: Tensor = self.ffn_norm(tokens + self.ffn(tokens))
        return normed


class BridgeBack(nn.Module):
    """Attention of a map's places to the tokens; their channels are the queries themselves."""

    def __init__(self, dim: int, drop_path: float) -> None:
        super().__init__()
        self.k = nn.Linear(TOKEN_DIM, dim)
        self.proj = nn.Linear(TOKEN_DIM, dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        places = x.flatten(2).transpose(1, 2)
        told = attend(places, self.k(tokens), self.proj(tokens), BRIDGE_HEADS)
        mixed: Tensor = x + self.drop_path(told.transpose(1, 2).reshape(x.shape))
        return mixed


class DynamicRelu(nn.Module):
    """The larger of two multiples of each element, with factors from the first token."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.hyper = nn.Sequential(
            nn.Linear(TOKEN_DIM, TOKEN_DIM // 4),
            nn.ReLU(),
            nn.Linear(TOKEN_DIM // 4, 2 * dim),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape; the factors lie in 0 to 2 and in -1 to 1."""
        first, second = (2 * self.hyper(tokens[:, 0]) - 1)[..., None, None].chunk(2, dim=1)
        return torch.maximum(x * (first + 1), x * second)


class FormerBlock(nn.Module):
    """Both bridges and the tokens' block, which a block's convolutions lie between.

    Args:
        in_chans: Channels before.
        dim: Channels after.
        drop_path: Rate of stochastic depth.
    """

    def __init__(self, in_chans: int, dim: int, drop_path: float) -> None:
        super().__init__()
        self.local_global = Bridge(in_chans, drop_path)
        self.global_block = TokenBlock(drop_path)
        self.global_local = BridgeBack(dim, drop_path)
        self.drop_path = DropPath(drop_path)

    def forward(self, streams: Streams) -> Streams:
        """Maps both streams."""
        x, tokens = streams
        tokens = self.global_block(self.local_global(x, tokens))
        return self.global_local(self.convolve(x, tokens), tokens), tokens

    def convolve(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The convolutions, ``(N, C_in, H, W)`` to ``(N, C, H', W')``."""
        raise NotImplementedError


class Mobile(FormerBlock):
    """A 1x1, a DW3x3 and a 1x1, added to what went in where shapes allow."""

    def __init__(self, in_chans: int, dim: int, expansion: int, drop_path: float) -> None:
        super().__init__(in_chans, dim, drop_path)
        hidden = expansion * in_chans
        self.conv1 = conv_norm(in_chans, hidden, 1)
        self.hyper1 = DynamicRelu(hidden)
        self.conv2 = conv_norm(hidden, hidden, 3, groups=hidden)
        self.hyper2 = DynamicRelu(hidden)
        self.conv3 = conv_norm(hidden, dim, 1)
        self.is_residual = in_chans == dim

    def convolve(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The convolutions, ``(N, C_in, H, W)`` to ``(N, C, H, W)``."""
        y = self.hyper1(self.conv1(x), tokens)
        y = self.conv3(self.hyper2(self.conv2(y), tokens))
        mixed: Tensor = x + self.drop_path(y) if self.is_residual else y
        return mixed


class MobileDown(FormerBlock):
    """A widening DW3x3 with stride 2 and a 1x1; then the same at stride 1, added to their input."""

    def __init__(self, in_chans: int, dim: int, expansion: int, drop_path: float) -> None:
        super().__init__(in_chans, dim, drop_path)
        before, after = expansion * in_chans, 4 * dim
        self.conv1 = conv_norm(in_chans, before, 3, stride=2, groups=in_chans)
        self.hyper1 = DynamicRelu(before)
        self.conv2 = conv_norm(before, dim, 1)
        self.conv3 = conv_norm(dim, after, 3, groups=dim)
        self.hyper3 = DynamicRelu(after)
        self.conv4 = conv_norm(after, dim, 1)

    def convolve(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The convolutions, ``(N, C_in, H, W)`` to ``(N, C, H/2, W/2)``."""
        x = self.conv2(self.hyper1(self.conv1(x), tokens))
        y = self.conv4(self.hyper3(self.conv3(x), tokens))
        mixed: Tensor = x + self.drop_path(y)
        return mixed


class Lite(nn.Module):
    """A widening DW3x3 and a 1x1, added to what went in; the tokens pass by."""

    def __init__(self, dim: int, expansion: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *conv_norm(dim, expansion * dim, 3, groups=dim),
            nn.ReLU6(),
            *conv_norm(expansion * dim, dim, 1),
        )

    def forward(self, streams: Streams) -> Streams:
        """Maps both streams."""
        x, tokens = streams
        return x + self.conv(x), tokens


def conv_norm(
    in_chans: int, dim: int, kernel_size: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution that keeps the size but for its stride, and batch norm."""
    conv = nn.Conv2d(
        in_chans, dim, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
    )
    return nn.Sequential(conv, nn.BatchNorm2d(dim))


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
        num_classes: Outputs of the classifier; 0 for none.
        global_pool: timm's name of the pooling before the classifier; empty for none.
        drop_path_rate: Stochastic depth of the last block; it grows linearly with the blocks.
    """

    def __init__(
        self,
        stem_dim: int,
        stem_expansion: int,
        places: Sequence[Sequence[Place]],
        head_dim: int,
        *,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = "avg",
        drop_path_rate: float = 0.0,
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
            num_classes=num_classes,
            global_pool=global_pool,
            head_hidden_size=head_dim,
        )
        self.pre_head = nn.ModuleDict(
            {
                "local_global": Bridge(before, drop_path_rate),
                "conv": conv_norm(before, LAST_EXPANSION * before, 1),
                "fc": nn.Sequential(
                    nn.Linear(LAST_EXPANSION * before + TOKEN_DIM, head_dim),
                    nn.BatchNorm1d(head_dim),
                    nn.Hardswish(),
                ),
            }
        )
        self.apply(_init_weights)

    def forward_head(self, x: Any, pre_logits: bool = False) -> Tensor:
        """Joins the pooled map and the first token and, unless ``pre_logits``, classifies."""
        feature_map: Tensor
        feature_map, tokens = x
        if not self.pre_head:
            return feature_map
        token = self.pre_head["local_global"](feature_map, tokens)[:, 0]
        wide = nn.functional.relu6(self.pre_head["conv"](feature_map))
        pooled = nn.functional.hardswish(self.global_pool(wide))
        joined: Tensor = self.pre_head["fc"](torch.cat([pooled, token], dim=1))
        return joined if pre_logits else self.head(joined)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Removes also what lies before the classifier."""
        before = self.num_stages
        chosen = super().prune_intermediate_layers(indices, prune_norm, prune_head)
        if prune_head or self.num_stages < before:
            self.pre_head = nn.ModuleDict()
        return chosen

    def _feature_map(self, x: Streams) -> Tensor:
        return x[0]


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
        **{
            rf"^features\.{index}\.": f"blocks{number}.{index - start}."
            for number, (start, end) in enumerate(pairwise(_STAGE_STARTS), 1)
            for index in range(start, end)
        },
        # The released sequence has an empty place where other sizes shuffle channels.
        r"^blocks1\.0\.conv\.4\.": "blocks1.0.conv.3.",
        r"^blocks1\.0\.conv\.5\.": "blocks1.0.conv.4.",
        r"^stem\.": "patch_embed1.conv.",
        r"^tokens\.": "patch_embed1.tokens.",
        r"^local_global\.": "pre_head.local_global.",
        r"^classifier\.conv\.1\.": "pre_head.conv.0.",
        r"^classifier\.conv\.2\.": "pre_head.conv.1.",
        r"^classifier\.fc\.": "pre_head.fc.",
        r"^classifier\.classifier\.1\.": "head.",
    }
)

default_cfgs = generate_default_cfgs(
    {
        "mobileformer_294m.untrained": {
            "interpolation": "bilinear",
            "pool_size": (7, 7),
            "first_conv": "patch_embed1.conv.0",
            "classifier": "head",
            "origin_url": "https://github.com/AAboys/MobileFormer",
            "paper_ids": "arXiv:2108.05895",
        }
    }
)


@register_model
def mobileformer_294m(pretrained: bool = False, **kwargs: Any) -> MobileFormer:
    """Mobile-Former of 294 M operations, 11.4 M parameters."""
    model: MobileFormer = build_model_with_cfg(
        MobileFormer,
        "mobileformer_294m",
        pretrained,
        pretrained_filter_fn=checkpoint_filter_fn,
        feature_cfg={"out_indices": (0, 1, 2, 3), "feature_cls": "getter"},
        stem_dim=16,
        stem_expansion=2,
        places=_PLACES,
        head_dim=1920,
        **kwargs,
    )
    return model

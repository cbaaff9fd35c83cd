"""T2T-ViT: images become tokens in three steps that re-arrange them (Yuan et al., ICCV 2021)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from timm.layers import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from mogabench.layers.backbone import Unscriptable
from mogabench.layers.registration import register_family
from mogabench.layers.released import StateDict, renaming

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_DIM = 64
RANDOM_FEATURES = 32
STRIDE = 16
DIM = 256
HEADS = 4
RELEASED_SCALE = DIM**-0.5
"""Of the released weights' attention scores; ours, as the original's by default, is a head's."""


class TokenPerformer(nn.Module):
    """Attention by random features (Choromanski et al., ICLR 2021) from wide tokens to narrow ones.

    The values take the place of the skip connection around the attention.

    Args:
        dim: Channels before.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.kqv = nn.Linear(dim, 3 * TOKEN_DIM)
        directions = nn.init.orthogonal_(torch.empty(RANDOM_FEATURES, TOKEN_DIM))
        self.w = nn.Parameter(directions * math.sqrt(RANDOM_FEATURES), requires_grad=False)
        self.proj = nn.Linear(TOKEN_DIM, TOKEN_DIM)
        self.dp = nn.Dropout(0.1)
        self.norm2 = nn.LayerNorm(TOKEN_DIM)
        self.mlp = nn.Sequential(
            nn.Linear(TOKEN_DIM, TOKEN_DIM),
            nn.GELU(),
            nn.Linear(TOKEN_DIM, TOKEN_DIM),
            nn.Dropout(0.1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, L, C)`` to ``(N, L, 64)``."""
        key, query, value = self.kqv(self.norm1(x)).chunk(3, dim=-1)
        key, query = self._features(key), self._features(query)
        total = query @ key.sum(dim=1).unsqueeze(2)
        mixed = query @ (key.transpose(1, 2) @ value.float()) / (total + 1e-8)
        x = value + self.dp(self.proj(mixed.to(value.dtype)))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out

    def _features(self, x: Tensor) -> Tensor:
        """Positive features ``(N, L, 32)`` whose products estimate a softmax's exponentials."""
        x = x.float()
        along = x @ self.w.float().T
        return torch.exp(along - x.square().sum(dim=-1, keepdim=True) / 2) / math.sqrt(len(self.w))


class TokensToToken(PatchEmbed):
    """Three overlapping unfoldings, with attention between them, then a projection.

    Args:
        img_size: Side of the images, pixels.
        patch_size: 16, by the unfoldings' strides.
        in_chans: Channels of the images.
        embed_dim: Channels of the tokens.
        **kwargs: As timm's vision transformer asks its embedding.
    """

    def __init__(
        self, img_size: int, patch_size: int, in_chans: int, embed_dim: int, **kwargs: Any
    ) -> None:
        super().__init__(img_size, patch_size, in_chans, embed_dim, **kwargs)
        self.soft_split0 = nn.Unfold(7, stride=4, padding=2)
        self.soft_split1 = nn.Unfold(3, stride=2, padding=1)
        self.attention1 = TokenPerformer(7 * 7 * in_chans)
        self.attention2 = TokenPerformer(3 * 3 * TOKEN_DIM)
        self.proj = nn.Linear(3 * 3 * TOKEN_DIM, embed_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` to tokens ``(N, L, D)``, or a map if sizes may vary."""
        size = [_quarter(side) for side in images.shape[2:]]
        x = self.soft_split0(images)
        for attention in (self.attention1, self.attention2):
            as_map = attention(x.transpose(1, 2)).transpose(1, 2).unflatten(2, size)
            x = self.soft_split1(as_map)
            size = [_halve(side) for side in size]
        tokens: Tensor = self.proj(x.transpose(1, 2))
        return tokens if self.flatten else tokens.reshape(len(tokens), *size, -1)

    def dynamic_feat_size(self, img_size: tuple[int, int]) -> tuple[int, int]:
        """The size of the map of tokens for images of a size; each is rounded up."""
        height, width = (_halve(_halve(_quarter(side))) for side in img_size)
        return height, width


def _quarter(side: int) -> int:
    return (side - 3) // 4 + 1


def _halve(side: int) -> int:
    return (side - 1) // 2 + 1


class T2TViT(Unscriptable, VisionTransformer):
    """A narrow vision transformer behind the tokens-to-token embedding.

    Args:
        **kwargs: As timm's vision transformer has them.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            embed_layer=TokensToToken,
            patch_size=STRIDE,
            embed_dim=DIM,
            depth=7,
            num_heads=HEADS,
            mlp_ratio=2,
            qkv_bias=False,
            norm_layer=nn.LayerNorm,
            **kwargs,
        )
        self.pos_embed.requires_grad_(False)
        with torch.no_grad():
            self.pos_embed.copy_(_sinusoids(*self.pos_embed.shape[1:]))


def _sinusoids(positions: int, dim: int) -> Tensor:
    """Sines in the even channels, cosines in the odd ones, ``(positions, dim)``."""
    wavelengths = 10000 ** (torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angles = torch.arange(positions, dtype=torch.float64)[:, None] / wavelengths
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


_rename = renaming(
    {r"^tokens_to_token\.project\.": "patch_embed.proj.", r"^tokens_to_token\.": "patch_embed."}
)


def checkpoint_filter_fn(state_dict: Mapping[str, Tensor], model: T2TViT) -> StateDict:
    """Translates released weights: our names, and queries for our scale of the scores."""
    renamed = _rename(state_dict, model)
    if "tokens_to_token.project.weight" in state_dict:
        for index in range(len(model.blocks)):
            name = f"blocks.{index}.attn.qkv.weight"
            query, *others = renamed[name].chunk(3)
            query = query * (RELEASED_SCALE / model.blocks[index].attn.scale)
            renamed[name] = torch.cat([query, *others])
    return renamed


register_family(
    __name__,
    T2TViT,
    {"t2t_vit_7": {}},  # T2T-ViT-7, 4.31 M parameters
    features={"out_indices": 3, "feature_cls": "getter"},
    checkpoint_filter_fn=checkpoint_filter_fn,
    crop_pct=0.9,
    fixed_input_size=True,
    first_conv=None,
    classifier="head",
    origin_url="https://github.com/yitu-opensource/T2T-ViT",
    paper_ids="arXiv:2101.11986",
)

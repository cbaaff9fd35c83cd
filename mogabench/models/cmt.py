"""CMT, convolutional networks meet vision transformers (Guo et al., CVPR 2022)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Unpack

import torch
from timm.layers import calculate_drop_path_rates
from timm.models import checkpoint
from torch import Tensor, nn

from mogabench.layers.convolutions import depthwise_conv
from mogabench.layers.initialisation import init_linear_and_he_conv
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming
from mogabench.layers.staged import Stage, StagedBackbone
from mogabench.layers.transformer import ToMap, TransformerBlock, attend, patch_embed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.layers.backbone import HeadOptions

HEADS = (1, 2, 4, 8)
REDUCTIONS = (8, 4, 2, 1)
MLP_RATIO = 4
SIDES = (56, 28, 14, 7)
"""Sides of the maps at 224², for which relative positions are learned."""

HEAD_DIM = 1280
"""Channels before the classifier."""


class ReducedAttention(nn.Module):
    """Attention to a map reduced by a strided depth-wise convolution, with a position bias."""

    def __init__(self, dim: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)
        self.sr = nn.Identity() if reduction == 1 else _reduce(dim, reduction)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)`` to the same shape; ``bias`` is ``(1, heads, H * W, keys)``."""
        source = self.sr(x.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2)
        mixed = attend(self.q(x).flatten(1, 2), self.k(source), self.v(source), self.heads, bias)
        projected: Tensor = self.proj(mixed).view_as(x)
        return projected


def _reduce(dim: int, reduction: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(dim, dim, reduction, stride=reduction, groups=dim), nn.BatchNorm2d(dim)
    )


class InvertedResidualMlp(nn.Module):
    """An MLP with a DW3x3 and its shortcut inside, batch norm after each activation."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(dim, hidden_dim, 1), nn.GELU(), nn.BatchNorm2d(hidden_dim)
        )
        self.proj = depthwise_conv(hidden_dim, 3)
        self.proj_act = nn.GELU()
        self.proj_bn = nn.BatchNorm2d(hidden_dim)
        self.conv2 = nn.Sequential(nn.Conv2d(hidden_dim, dim, 1), nn.BatchNorm2d(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)`` to the same shape."""
        hidden = self.conv1(x.permute(0, 3, 1, 2))
        hidden = self.proj_bn(self.proj_act(hidden + self.proj(hidden)))
        out: Tensor = self.conv2(hidden).permute(0, 2, 3, 1)
        return out


class CmtBlock(TransformerBlock):
    """A DW3x3 with its shortcut, then a transformer block."""

    def __init__(self, dim: int, heads: int, reduction: int, drop_path: float) -> None:
        super().__init__(
            dim,
            ReducedAttention(dim, heads, reduction),
            InvertedResidualMlp(dim, MLP_RATIO * dim),
            drop_path=drop_path,
            eps=1e-6,
        )
        self.proj = depthwise_conv(dim, 3)

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)`` to the same shape; ``context`` is the position bias."""
        x = x + self.proj(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return super().forward(x, *context)


class Cmt(StagedBackbone):
    """A convolutional stem, then four stages of CMT blocks.

    Args:
        dims: Channels of each stage.
        depths: Blocks of each stage.
        stem_dim: Channels of the stem.
        in_chans: Channels of the images.
        drop_rate: Dropout before the classifier.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        **head: As ``HeadOptions`` has them.
    """

    first_in_stage = "patch_embed|relative_pos"

    def __init__(
        self,
        dims: Sequence[int],
        depths: Sequence[int],
        stem_dim: int,
        *,
        in_chans: int = 3,
        drop_rate: float = 0.1,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        drop_paths = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        stages: list[Stage] = []
        for index, (dim, rates) in enumerate(zip(dims, drop_paths, strict=True)):
            embed = patch_embed(dims[index - 1] if index else stem_dim, dim, 2, pad=False)
            if index == 0:
                stem = _stem(in_chans, stem_dim)
                embed = nn.Sequential(OrderedDict(stem=stem, embed=embed))
            blocks = [CmtBlock(dim, HEADS[index], REDUCTIONS[index], rate) for rate in rates]
            stages.append((embed, nn.Sequential(*blocks), ToMap()))
        super().__init__(stages, dims, in_chans=in_chans, head_hidden_size=HEAD_DIM, **head)
        for number, (heads, side, reduction) in enumerate(
            zip(HEADS, SIDES, REDUCTIONS, strict=True), 1
        ):
            bias = torch.empty(heads, side**2, (side // reduction) ** 2)
            self.register_parameter(f"relative_pos{number}", nn.Parameter(nn.init.normal_(bias)))
        self.pre_head = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(dims[-1], HEAD_DIM, 1), norm=nn.BatchNorm2d(HEAD_DIM), act=nn.SiLU()
            )
        )
        self.head_drop = nn.Dropout(drop_rate)
        self.apply(init_linear_and_he_conv)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Widens and pools the last feature map and, unless ``pre_logits``, classifies it."""
        pooled: Tensor = self.head_drop(self.global_pool(self.pre_head(x)))
        return pooled if pre_logits else self.head(pooled)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Removes also the stages' position biases."""
        before = self.num_stages
        chosen = super().prune_intermediate_layers(indices, prune_norm, prune_head)
        for number in range(self.num_stages + 1, before + 1):
            delattr(self, f"relative_pos{number}")
        return chosen

    def _prune_head(self) -> None:
        super()._prune_head()
        self.pre_head = nn.Sequential()

    def _forward_stage(self, x: Tensor, number: int) -> Tensor:
        embed, blocks, norm = self._parts(number)
        x = embed(x)
        bias = self._position_bias(number, *x.shape[1:3])
        for block in blocks:
            x = checkpoint(block, x, bias) if self._recomputing else block(x, bias)
        normed: Tensor = norm(x)
        return normed

    def _position_bias(self, number: int, height: int, width: int) -> Tensor:
        """The bias of a stage, ``(1, heads, queries, keys)``, resized as in Sec. 3.2."""
        learned: Tensor = getattr(self, f"relative_pos{number}")[None]
        reduction = REDUCTIONS[number - 1]
        size = (height * width, (height // reduction) * (width // reduction))
        if learned.shape[2:] == size:
            return learned
        return nn.functional.interpolate(learned, size=size, mode="bicubic")


def _stem(in_chans: int, dim: int) -> nn.Module:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number in (1, 2, 3):
        chans, stride = (in_chans, 2) if number == 1 else (dim, 1)
        layers[f"conv{number}"] = nn.Conv2d(chans, dim, 3, stride=stride, padding=1)
        layers[f"act{number}"] = nn.GELU()
        layers[f"norm{number}"] = nn.BatchNorm2d(dim)
    return nn.Sequential(layers)


_STAGES = {"a": 1, "b": 2, "c": 3, "d": 4}

checkpoint_filter_fn = renaming(
    {
        **{
            rf"^(blocks|patch_embed|relative_pos)_{old}": rf"\g<1>{new}"
            for old, new in _STAGES.items()
        },
        r"^patch_embed1\.(proj|norm)\.": r"patch_embed1.embed.\1.",
        r"^stem_(conv|norm)": r"patch_embed1.stem.\1",
        r"^_fc\.": "pre_head.conv.",
        r"^_bn\.": "pre_head.norm.",
    }
)

register_family(
    __name__,
    Cmt,
    # CMT-S, 26.3 M parameters.
    {"cmt_small": {"dims": (64, 128, 256, 512), "depths": (3, 3, 16, 3), "stem_dim": 32}},
    features={"out_indices": (0, 1, 2, 3), "feature_cls": "getter"},
    checkpoint_filter_fn=checkpoint_filter_fn,
    pool_size=(7, 7),
    first_conv="patch_embed1.stem.conv1",
    classifier="head",
    origin_url="https://github.com/ggjy/CMT.pytorch",
    paper_ids="arXiv:2107.06263",
)

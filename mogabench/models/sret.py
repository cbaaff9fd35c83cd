"""SReT: each transformer block runs twice, its attention within groups (Shen et al., ECCV 2022)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Unpack

import torch
from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from mogabench.errors import UserError
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming
from mogabench.layers.staged import Stage, StagedBackbone
from mogabench.layers.transformer import ToMap, attend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.layers.backbone import HeadOptions

HEAD_DIM = 32
HEADS = (2, 4, 8)
GROUPS = ((8, 2), (4, 1), (1, 1))
"""Groups of tokens in each stage, for the first run of a block and for the second."""

STRIDE = 8
"""Pixels per token of the first stage."""


class Coefficient(nn.Module):
    """A learned factor."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Scales any tensor."""
        return x * self.bias


class GroupAttention(nn.Module):
    """Attention among the tokens of each group."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, groups: int, *, shuffle: bool) -> Tensor:
        """Maps ``(N, L, C)`` to the same shape.

        Args:
            x: The tokens.
            groups: Number of groups, which divides L.
            shuffle: Whether groups are drawn by chance, or else each is a row of neighbours.

        Raises:
            UserError: The tokens do not divide into groups.
        """
        if x.shape[1] % groups:
            raise UserError(
                f"SReT's {x.shape[1]} tokens do not divide into {groups} groups; "
                "choose images of another size, such as 224x224"
            )
        order = torch.randperm(x.shape[1], device=x.device) if shuffle and groups > 1 else None
        if order is not None:
            x = x[:, order]
        tokens = self.qkv(x).unflatten(1, (groups, -1)).flatten(0, 1)
        query, key, value = tokens.chunk(3, dim=-1)
        mixed = attend(query, key, value, self.heads).reshape(x.shape)
        if order is not None:
            mixed = mixed[:, order.argsort()]
        projected: Tensor = self.proj(mixed)
        return projected


class SlicedBlock(nn.Module):
    """Attention, then an MLP; each normalised before, with a factor on either path."""

    def __init__(self, dim: int, heads: int, hidden_dim: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = GroupAttention(dim, heads)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, hidden_dim)
        self.coefficient1 = Coefficient()
        self.coefficient2 = Coefficient()
        self.coefficient3 = Coefficient()
        self.coefficient4 = Coefficient()

    def forward(self, x: Tensor, groups: int, *, shuffle: bool) -> Tensor:
        """Maps ``(N, L, C)`` to the same shape."""
        y = self.attn(self.norm1(x), groups, shuffle=shuffle)
        x = self.coefficient1(x) + self.coefficient2(self.drop_path(y))
        y = self.mlp(self.norm2(x))
        mixed: Tensor = self.coefficient3(x) + self.coefficient4(self.drop_path(y))
        return mixed


class NonLinearProjection(nn.Module):
    """An MLP, normalised before, with a factor on either path."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, dim)
        self.coefficient1 = Coefficient()
        self.coefficient2 = Coefficient()

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, L, C)`` to the same shape."""
        mixed: Tensor = self.coefficient1(x) + self.coefficient2(self.mlp(self.norm1(x)))
        return mixed


class RecursiveBlock(nn.Module):
    """A block that runs twice, with an MLP of its own after each run.

    Args:
        block: The block.
        dim: Channels.
        groups: Groups of tokens for the first run and for the second, which draws them by chance.
    """

    def __init__(self, block: SlicedBlock, dim: int, groups: tuple[int, int]) -> None:
        super().__init__()
        self.groups = groups
        self.block = block
        self.after = nn.ModuleList(NonLinearProjection(dim) for _ in groups)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)`` to the same shape."""
        tokens = x.flatten(1, 2)
        for index, (groups, after) in enumerate(zip(self.groups, self.after, strict=True)):
            tokens = after(self.block(tokens, groups, shuffle=index > 0))
        return tokens.view_as(x)


class ConvEmbed(nn.Module):
    """Three strided convolutions, and learned positions."""

    def __init__(self, in_chans: int, dim: int, side: int) -> None:
        super().__init__()
        widths = (in_chans, dim // 2, dim, dim)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number in (1, 2, 3):
            layers[f"conv{number}"] = nn.Conv2d(
                widths[number - 1], widths[number], 3, stride=2, padding=1
            )
            layers[f"bn{number}"] = nn.BatchNorm2d(widths[number])
            layers[f"relu{number}"] = nn.ReLU()
        self.convs = nn.Sequential(layers)
        self.pos_embed = nn.Parameter(torch.empty(1, dim, side, side))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` to ``(N, H/8, W/8, D)``; positions are resized to that."""
        x = self.convs(images)
        positions: Tensor = self.pos_embed
        if positions.shape[2:] != x.shape[2:]:
            positions = nn.functional.interpolate(positions, size=x.shape[2:], mode="bicubic")
        embedded: Tensor = x + positions
        return embedded.permute(0, 2, 3, 1)


class ConvPool(nn.Module):
    """A depth-wise convolution that halves the map and widens it."""

    def __init__(self, dim: int, wide: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, wide, 3, stride=2, padding=1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, H/2, W/2, C)``."""
        pooled: Tensor = self.conv(x)
        return pooled.permute(0, 2, 3, 1)


class SReT(StagedBackbone):
    """Three stages of recursive blocks, at strides 8 to 32.

    Args:
        depths: Blocks of each stage, each of which runs twice.
        mlp_ratio: Hidden channels of the blocks' MLP per channel.
        img_size: Side of the images, pixels, for which positions are learned.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth that the network would reach after its last block, were
            it not reset in each stage; as published it grows with the blocks before the stage.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        depths: Sequence[int],
        mlp_ratio: float,
        *,
        img_size: int = 224,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        dims = [HEAD_DIM * heads for heads in HEADS]
        stages: list[Stage] = []
        for index, (dim, heads, depth) in enumerate(zip(dims, HEADS, depths, strict=True)):
            if index:
                embed: nn.Module = ConvPool(dims[index - 1], dim)
            else:
                embed = ConvEmbed(in_chans, dim, img_size // STRIDE)
            runs_before = 2 * sum(depths[:index])
            blocks = []
            for place in range(depth):
                rate = drop_path_rate * (runs_before + place) / (2 * sum(depths))
                block = SlicedBlock(dim, heads, int(mlp_ratio * dim), rate)
                blocks.append(RecursiveBlock(block, dim, GROUPS[index]))
            stages.append((embed, nn.Sequential(*blocks), ToMap()))
        super().__init__(
            stages,
            dims,
            in_chans=in_chans,
            norm=nn.LayerNorm(dims[-1], eps=1e-6),
            norm_pooled=True,
            first_stride=STRIDE,
            **head,
        )

    def no_weight_decay(self) -> set[str]:
        """Names of parameters to keep from weight decay, as released."""
        return {"patch_embed1.pos_embed"}


_DEPTHS = (2, 5, 3)

checkpoint_filter_fn = renaming(
    {
        r"^patch_embed\.": "patch_embed1.convs.",
        r"^pos_embed$": "patch_embed1.pos_embed",
        r"^pools\.0\.": "patch_embed2.",
        r"^pools\.1\.": "patch_embed3.",
        **{
            # Both runs of a block are listed in the release; the weights are the same.
            rf"^transformers\.{stage}\.blocks\.{4 * place + run}\.": (
                f"blocks{stage + 1}.{place}.{part}."
            )
            for stage, depth in enumerate(_DEPTHS)
            for place in range(depth)
            for run, part in enumerate(("block", "after.0", "block", "after.1"))
        },
    }
)

register_family(
    __name__,
    SReT,
    {"sret_tiny": {"depths": _DEPTHS, "mlp_ratio": 3.6}},  # SReT-T, 4.76 M parameters
    features={"out_indices": (0, 1, 2)},
    checkpoint_filter_fn=checkpoint_filter_fn,
    crop_pct=0.9,
    pool_size=(7, 7),
    first_conv="patch_embed1.convs.conv1",
    classifier="head",
    origin_url="https://github.com/szq0214/SReT",
    paper_ids="arXiv:2111.05297",
)

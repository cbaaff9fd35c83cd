"""Focal Transformer: attention fine nearby and coarse far away (Yang et al., NeurIPS 2021).

Each window of 7x7 tokens attends to itself, to the tokens at most three away, and to the means
(with learned weights) of the windows around it. At the border the neighbours are those of the
opposite border, as in the released network.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Unpack

import torch
from timm.layers import LayerNorm2d, Mlp, calculate_drop_path_rates
from timm.models.swin_transformer import window_partition, window_reverse
from torch import Tensor, nn

from mogabench.layers.initialisation import LINEAR_STD, init_linear
from mogabench.layers.registration import register_family
from mogabench.layers.released import SWIN_NAMES, renaming
from mogabench.layers.staged import Stage, StagedBackbone
from mogabench.layers.transformer import ToMap, TransformerBlock, attend, patch_embed
from mogabench.layers.windows import pad_to_windows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mogabench.layers.backbone import HeadOptions
    from mogabench.layers.released import StateDict

MLP_RATIO = 4
HEAD_DIM = 32
WINDOW = 7
AREA = WINDOW**2
REACHES = (3, 3, 3, 0)
"""How far around its window a token sees single tokens, by stage; the last one's window is the
whole map at 224x224."""

FOCAL_WINDOWS = (7, 5, 3, 1)
"""Side of the square of windows whose means a token sees, by stage."""

OUTSIDE = -100.0
"""Added to the scores of windows beyond the border."""


class FocalAttention(nn.Module):
    """Attention to a window, its neighbours, and the means of windows around.

    Args:
        dim: Channels.
        reach: How far around its window a token sees single tokens.
        focal_window: Side of the square of windows whose means it sees, odd.
    """

    relative_position_index: Tensor
    relative_position_index_0: Tensor
    valid_ind_rolled: Tensor

    def __init__(self, dim: int, reach: int, focal_window: int) -> None:
        super().__init__()
        self.heads = dim // HEAD_DIM
        self.reach = reach
        self.focal_window = focal_window
        self.pool = nn.Linear(AREA, 1)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

        offsets = (2 * WINDOW - 1) ** 2
        self.relative_position_bias_table = nn.Parameter(torch.zeros(offsets, self.heads))
        index = _relative_index(WINDOW)
        self.register_buffer("relative_position_index", index, persistent=False)
        to_windows = torch.empty(self.heads, (WINDOW + focal_window - 1) ** 2)
        nn.init.trunc_normal_(to_windows, std=LINEAR_STD)
        self.relative_position_bias_table_to_windows = nn.Parameter(to_windows)
        index = _relative_index(focal_window)
        self.register_buffer("relative_position_index_0", index, persistent=False)
        if reach:
            seen = _neighbours(reach)
            self.register_buffer("valid_ind_rolled", torch.tensor(seen), persistent=False)
            to_neighbours = torch.empty(1, self.heads, AREA, len(seen))
            nn.init.trunc_normal_(to_neighbours, std=LINEAR_STD)
            self.relative_position_bias_table_to_neighbors = nn.Parameter(to_neighbours)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)`` to the same shape; windows are filled up with zeros."""
        height, width = x.shape[1:3]
        x = pad_to_windows(x, (WINDOW, WINDOW))
        padded = x.shape[1:3]
        rows, columns = padded[0] // WINDOW, padded[1] // WINDOW
        query, near = self.qkv(x).split([x.shape[-1], 2 * x.shape[-1]], dim=-1)
        means = self.pool(_windows(x).transpose(1, 2)).view(len(x), rows, columns, -1)
        far = self.qkv(means)[..., x.shape[-1] :]

        sources = [_windows(near), *self._around(near), self._unfold(far)]
        key, value = torch.cat(sources, dim=1).chunk(2, dim=-1)
        bias = self._bias(rows, columns, far).repeat(len(x), 1, 1, 1)
        mixed = self.proj(attend(_windows(query), key, value, self.heads, bias))
        merged: Tensor = window_reverse(mixed, (WINDOW, WINDOW), *padded)
        return merged[:, :height, :width]

    def _around(self, near: Tensor) -> list[Tensor]:
        """The tokens around each window, ``(windows, neighbours, C)``, if any are seen."""
        if not self.reach:
            return []
        shifts = product((-self.reach, self.reach), repeat=2)
        rolled = [_windows(near.roll(shift, dims=(1, 2))) for shift in shifts]
        return [torch.cat(rolled, dim=1)[:, self.valid_ind_rolled]]

    def _unfold(self, x: Tensor) -> Tensor:
        """The square around each position: ``(N, H, W, C)`` to ``(N * H * W, squares, C)``."""
        side = self.focal_window
        squares = nn.functional.unfold(x.permute(0, 3, 1, 2), side, padding=side // 2)
        by_position = squares.view(len(x), x.shape[-1], side**2, -1).permute(0, 3, 2, 1)
        return by_position.flatten(0, 1)

    def _bias(self, rows: int, columns: int, like: Tensor) -> Tensor:
        """What is added to the scores of each window, ``(rows * columns, heads, 49, keys)``."""
        own = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        parts = [own[None]]
        if self.reach:
            parts.append(self.relative_position_bias_table_to_neighbors)
        inside = self._unfold(like.new_ones(1, rows, columns, 1))
        windows = self.relative_position_bias_table_to_windows[:, self.relative_position_index_0]
        parts.append(windows + (OUTSIDE * (1 - inside)).view(-1, 1, 1, self.focal_window**2))
        return torch.cat([part.expand(rows * columns, -1, -1, -1) for part in parts], dim=-1)


def _windows(x: Tensor) -> Tensor:
    """``(N, H, W, C)`` as ``(N * windows, 49, C)``."""
    windows: Tensor = window_partition(x, (WINDOW, WINDOW)).flatten(1, 2)
    return windows


def _relative_index(keys: int) -> Tensor:
    """Where the table has the offset from a window's tokens to a square of ``keys`` by ``keys``."""
    offsets = torch.arange(WINDOW)[:, None] - torch.arange(keys) + keys - 1
    index = offsets[:, None, :, None] * (WINDOW + keys - 1) + offsets[None, :, None, :]
    return index.reshape(AREA, keys**2)


def _neighbours(reach: int) -> list[int]:
    """Places, in four windows shifted diagonally by ``reach``, of the tokens beyond the own window.

    In the order of the released table of biases; the middle of a side is seen twice.
    """
    far, near = range(WINDOW - reach, WINDOW), range(reach)
    places = product((far, near), (far, near), range(WINDOW), range(WINDOW))
    return [
        place
        for place, (rows, columns, row, column) in enumerate(places)
        if row in rows or column in columns
    ]


class FocalTransformer(StagedBackbone):
    """Four stages of transformer blocks with focal attention.

    Args:
        dim: Channels of the first stage; each later one has twice as many as the one before.
        depths: Blocks of each stage.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        focal_windows: Side of the square of windows whose means a token sees, by stage, odd; the
            paper's detectors and segmentors have 15, 13, 9 and 7.
        reaches: How far around its window a token sees single tokens, by stage; as published 3, but
            0 where the map of the images it is built for is no larger than a window.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        dim: int,
        depths: Sequence[int],
        *,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        focal_windows: Sequence[int] = FOCAL_WINDOWS,
        reaches: Sequence[int] = REACHES,
        **head: Unpack[HeadOptions],
    ) -> None:
        dims = [dim * 2**index for index in range(len(depths))]
        drop_paths = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        stages: list[Stage] = []
        for index, wide in enumerate(dims):
            if index == 0:
                embed = patch_embed(in_chans, wide, 4, pad=True)
            else:
                embed = patch_embed(dims[index - 1], wide, 2, pad=True)
            blocks = [
                TransformerBlock(
                    wide,
                    FocalAttention(wide, reaches[index], focal_windows[index]),
                    Mlp(wide, MLP_RATIO * wide),
                    drop_path=rate,
                )
                for rate in drop_paths[index]
            ]
            stages.append((embed, nn.Sequential(*blocks), ToMap()))
        super().__init__(
            stages, dims, in_chans=in_chans, norm=LayerNorm2d(dims[-1], eps=1e-5), **head
        )
        self.apply(init_linear)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters to keep from weight decay: the tables, as released."""
        return {name for name, _ in self.named_parameters() if "bias_table" in name}


_COMPUTED = ("relative_position_index", "relative_position_index_0", "valid_ind_rolled")

_rename = renaming(
    {
        **SWIN_NAMES,
        r"\.pool_layers\.0\.": ".attn.pool.",
        r"_to_windows\.0$": "_to_windows",
    }
)


def checkpoint_filter_fn(state_dict: Mapping[str, Tensor], model: nn.Module) -> StateDict:
    """Translates the released names; tables of indices are computed here."""
    renamed = _rename(state_dict, model)
    return {name: tensor for name, tensor in renamed.items() if not name.endswith(_COMPUTED)}


register_family(
    __name__,
    FocalTransformer,
    {
        "focal_tiny": {"dim": 96, "depths": (2, 2, 6, 2)},  # Focal-T, 28.9 M parameters
        "focal_small": {"dim": 96, "depths": (2, 2, 18, 2)},  # Focal-S, 51.1 M
        "focal_base": {"dim": 128, "depths": (2, 2, 18, 2)},  # Focal-B, 89.8 M
    },
    checkpoint_filter_fn=checkpoint_filter_fn,
    pool_size=(7, 7),
    first_conv="patch_embed1.proj",
    classifier="head",
    origin_url="https://github.com/microsoft/Focal-Transformer",
    paper_ids="arXiv:2107.00641",
)

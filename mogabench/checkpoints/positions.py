"""Position embeddings and bias tables of another image size, resampled as timm does."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from timm.layers import (
    resample_abs_pos_embed,
    resample_abs_pos_embed_nhwc,
    resize_rel_pos_bias_table,
    resize_rel_pos_bias_table_levit,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

_EMBEDDING = re.compile(r"(^|\.)(pos_embed_?\d*|patch_pos)$")
_TABLE = re.compile(r"(^|\.)relative_position_bias_table$")
_TO_WINDOWS = re.compile(r"(^|\.)relative_position_bias_table_to_windows$")
"""Focal Transformer's tables, by the offsets from a token to the windows that are seen."""

_DISTANCES = re.compile(r"(^|\.)attention_biases$")
"""LeViT's tables, by the distances in rows and columns."""

_OTHERS = re.compile(r"(^|\.)rel_pos_[hw]$")
"""MViT's tables, which only its own ``checkpoint_filter_fn`` resamples."""

_KINDS = (_EMBEDDING, _TABLE, _TO_WINDOWS, _DISTANCES, _OTHERS)

_MOST_PREFIX_TOKENS = 2
"""DeiT's class token and distillation token."""


def is_position(name: str) -> bool:
    """Whether a name is that of a position embedding or a table of relative positions."""
    return any(kind.search(name) for kind in _KINDS)


def resample_positions(
    weights: Mapping[str, Tensor], network: nn.Module
) -> tuple[dict[str, Tensor], list[str]]:
    """Fits what depends on the image size; what cannot be resampled stays, and will not fit.

    Args:
        weights: By the network's names.
        network: What they are for.

    Returns:
        The weights, and a line that counts those that were resampled.
    """
    needed, found = network.state_dict(), dict(weights)
    changed = []
    for name, tensor in weights.items():
        own = needed.get(name)
        if own is None or own.shape == tensor.shape or not is_position(name):
            continue
        parent = network.get_submodule(name.rpartition(".")[0])
        resampled = _resample(name, tensor, own, parent)
        if resampled is not None and resampled.shape == own.shape:
            found[name] = resampled
            changed.append(f"{name} from {_shape(tensor)} to {_shape(own)}")
    if not changed:
        return found, []
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return found, [f"position embeddings were resampled to this image size: {changed[0]}{more}"]


def _resample(name: str, old: Tensor, own: Tensor, parent: Any) -> Tensor | None:
    """The tensor in the shape that is needed; None where its grid is not known."""
    if old.ndim != own.ndim:
        return None
    if _TABLE.search(name):
        return _resample_table(old, own, parent)
    if _TO_WINDOWS.search(name):
        return _widen_table(old, own)
    if _DISTANCES.search(name):
        return _resample_distances(old, own, parent)
    if not _EMBEDDING.search(name):
        return None
    return _resample_map(old, own) if own.ndim == 4 else _resample_tokens(old, own, parent)


def _resample_table(old: Tensor, own: Tensor, parent: Any) -> Tensor | None:
    """A table ``(offsets, heads)`` of the offsets within a window, as in Swin."""
    if old.ndim != 2 or old.shape[1] != own.shape[1] or not hasattr(parent, "window_size"):
        return None
    if not _is_square(len(old) - _extra_rows(own, parent.window_size)):
        return None
    resampled: Tensor = resize_rel_pos_bias_table(old, parent.window_size, tuple(own.shape))
    return resampled


def _widen_table(old: Tensor, own: Tensor) -> Tensor | None:
    """A table ``(heads, offsets)`` for more windows; what is new keeps its initial values."""
    before, after = (math.isqrt(x.shape[1]) for x in (old, own))
    margin = (after - before) // 2
    if len(old) != len(own) or old.shape[1] != before**2 or margin < 0:
        return None
    widened = own.view(-1, after, after).to(old.device, old.dtype, copy=True)
    middle = slice(margin, margin + before)
    widened[:, middle, middle] = old.reshape(-1, before, before)
    return widened.flatten(1)


def _resample_distances(old: Tensor, own: Tensor, parent: Any) -> Tensor | None:
    """A table ``(heads, distances)`` of the distances on a map, as in LeViT."""
    grid = getattr(parent, "resolution", None)
    is_known = not isinstance(grid, tuple) or grid[0] == grid[1]
    if len(old) != len(own) or not (is_known and all(_is_square(x.shape[1]) for x in (old, own))):
        return None
    resampled: Tensor = resize_rel_pos_bias_table_levit(old.T, tuple(own.T.shape)).T.contiguous()
    return resampled


def _resample_tokens(old: Tensor, own: Tensor, parent: Any) -> Tensor | None:
    """An embedding ``(1, tokens, C)``."""
    tokens = _grid(old, own, parent)
    if tokens is None or old.shape[-1] != own.shape[-1]:
        return None
    resampled: Tensor = resample_abs_pos_embed(old, tokens[1], num_prefix_tokens=tokens[0])
    return resampled


def _extra_rows(own: Tensor, window: tuple[int, int]) -> int:
    """Rows of a table that are for no offset within a window, such as BEiT's for its class."""
    return len(own) - math.prod(2 * side - 1 for side in window)


def _resample_map(old: Tensor, own: Tensor) -> Tensor | None:
    """An embedding ``(1, C, H, W)`` or ``(1, H, W, C)`` of a square map.

    NesT's ``(1, blocks, tokens, C)`` has no square.
    """
    resampled: Tensor
    if old.shape[3] == own.shape[3] and old.shape[1] == old.shape[2]:
        resampled = resample_abs_pos_embed_nhwc(old, list(own.shape[1:3]))
        return resampled
    if old.shape[1] == own.shape[1] and old.shape[2] == old.shape[3]:
        last = resample_abs_pos_embed_nhwc(old.permute(0, 2, 3, 1), list(own.shape[2:]))
        resampled = last.permute(0, 3, 1, 2)
        return resampled
    return None


def _grid(old: Tensor, own: Tensor, parent: Any) -> tuple[int, list[int]] | None:
    """How many tokens come before the grid's, and the grid ``[H, W]`` that is needed."""
    grid = getattr(getattr(parent, "patch_embed", None), "grid_size", None)
    for prefix in range(_MOST_PREFIX_TOKENS + 1):
        side = math.isqrt(own.shape[1] - prefix)
        wanted = list(grid) if grid else [side, side]
        is_own = math.prod(wanted) + prefix == own.shape[1]
        if is_own and _is_square(old.shape[1] - prefix):
            return prefix, wanted
    return None


def _is_square(number: int) -> bool:
    return number > 0 and math.isqrt(number) ** 2 == number


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))

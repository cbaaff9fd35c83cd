"""Position embeddings and bias tables of another image size, resampled as timm does."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from timm.layers import (
    resample_abs_pos_embed,
    resample_abs_pos_embed_nhwc,
    resize_rel_pos_bias_table,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

_EMBEDDING = re.compile(r"(^|\.)pos_embed\d*$")
_TABLE = re.compile(r"(^|\.)relative_position_bias_table$")

_MOST_PREFIX_TOKENS = 2
"""DeiT's class token and distillation token."""


def is_position(name: str) -> bool:
    """Whether a name is that of a position embedding or a table of relative positions."""
    return bool(_EMBEDDING.search(name) or _TABLE.search(name))


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
        resampled = _resample(tensor, own, parent, is_table=bool(_TABLE.search(name)))
        if resampled is not None and resampled.shape == own.shape:
            found[name] = resampled
            changed.append(f"{name} from {_shape(tensor)} to {_shape(own)}")
    if not changed:
        return found, []
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return found, [f"position embeddings were resampled to this image size: {changed[0]}{more}"]


def _resample(old: Tensor, own: Tensor, parent: Any, *, is_table: bool) -> Tensor | None:
    """The tensor in the shape that is needed; None where its grid is not known."""
    if old.ndim != own.ndim:
        return None
    resampled: Tensor
    if is_table:
        if old.ndim != 2 or old.shape[1] != own.shape[1] or not hasattr(parent, "window_size"):
            return None
        offsets = len(old) - _extra_rows(own, parent.window_size)
        if offsets < 1 or math.isqrt(offsets) ** 2 != offsets:
            return None
        resampled = resize_rel_pos_bias_table(old, parent.window_size, tuple(own.shape))
    elif own.ndim == 4:
        resampled = _resample_map(old, own)
    else:
        tokens = _grid(old, own, parent)
        if tokens is None or old.shape[-1] != own.shape[-1]:
            return None
        resampled = resample_abs_pos_embed(old, tokens[1], num_prefix_tokens=tokens[0])
    return resampled


def _extra_rows(own: Tensor, window: tuple[int, int]) -> int:
    """Rows of a table that are for no offset within a window, such as BEiT's for its class."""
    return len(own) - math.prod(2 * side - 1 for side in window)


def _resample_map(old: Tensor, own: Tensor) -> Tensor:
    """An embedding ``(1, C, H, W)`` or ``(1, H, W, C)``."""
    if old.shape[1] != own.shape[1]:
        resampled: Tensor = resample_abs_pos_embed_nhwc(old, list(own.shape[1:3]))
    else:
        last = resample_abs_pos_embed_nhwc(old.permute(0, 2, 3, 1), list(own.shape[2:]))
        resampled = last.permute(0, 3, 1, 2)
    return resampled


def _grid(old: Tensor, own: Tensor, parent: Any) -> tuple[int, list[int]] | None:
    """How many tokens come before the grid's, and the grid ``[H, W]`` that is needed."""
    grid = getattr(getattr(parent, "patch_embed", None), "grid_size", None)
    for prefix in range(_MOST_PREFIX_TOKENS + 1):
        side = math.isqrt(own.shape[1] - prefix)
        wanted = list(grid) if grid else [side, side]
        is_own = math.prod(wanted) + prefix == own.shape[1]
        if is_own and math.isqrt(old.shape[1] - prefix) ** 2 == old.shape[1] - prefix:
            return prefix, wanted
    return None


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))

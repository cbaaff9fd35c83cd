"""The names that MogaNet's released pose networks have, in this project's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_CONVNEXT = (
    (r"downsample_layers\.0\.(\d)\.", r"stem_\1."),
    (r"downsample_layers\.(\d)\.", r"stages_\1.downsample."),
    (r"stages\.(\d)\.(\d+)\.", r"stages_\1.blocks.\2."),
    (r"\.depthwise_conv\.", ".conv_dw."),
    (r"\.pointwise_conv([12])\.", r".mlp.fc\1."),
)
"""mmpretrain's names within a ConvNeXt, and timm's for its features."""

_LEVEL_NORM = re.compile(r"backbone\.norm(\d)\.(weight|bias)")


def translate_released(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Renames what ConvNeXt's and UniFormer's files call otherwise; other files stay as they are.

    Both have a norm behind each level, of which the head takes the last; the others do nothing.

    Args:
        weights: Of a whole network, by the file's names.
    """
    levels = [match for match in map(_LEVEL_NORM.fullmatch, weights) if match]
    is_convnext = any(".downsample_layers." in name for name in weights)
    is_uniformer = any(name.startswith("backbone.blocks1.0.pos_embed.") for name in weights)
    if not levels or not (is_convnext or is_uniformer):
        return weights
    last = max(match[1] for match in levels)
    found = {}
    for name, tensor in weights.items():
        norm = _LEVEL_NORM.fullmatch(name)
        if norm is None:
            found[_timm_name(name) if is_convnext else name] = tensor
        elif norm[1] == last:
            found[f"norm.{norm[2]}"] = tensor
    return found


def _timm_name(name: str) -> str:
    for theirs, ours in _CONVNEXT:
        name = re.sub(theirs, ours, name)
    return name

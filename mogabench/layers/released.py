"""Translating the parameter names of released networks into ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

StateDict = dict[str, "Tensor"]

SWIN_NAMES = {
    **{rf"^layers\.{index}\.downsample": f"patch_embed{index + 2}" for index in range(3)},
    **{rf"^layers\.{index}\.blocks": f"blocks{index + 1}" for index in range(4)},
    r"^patch_embed\.": "patch_embed1.",
}
"""Rules for ``renaming``: from Swin's names, where an embedding ends the stage before its own."""


def renaming(rules: Mapping[str, str]) -> Callable[[Mapping[str, Any], nn.Module], StateDict]:
    """A ``checkpoint_filter_fn`` as timm knows it, which renames.

    Args:
        rules: Patterns and what they are replaced by; all apply to each name, one by one. Names
            that match none stay, so the function leaves our own names alone.
    """

    def checkpoint_filter_fn(state_dict: Mapping[str, Any], model: nn.Module) -> StateDict:
        return {_rename(name, rules): tensor for name, tensor in state_dict.items()}

    return checkpoint_filter_fn


def reshaping(
    translate: Callable[[Mapping[str, Any], nn.Module], StateDict],
) -> Callable[[Mapping[str, Any], nn.Module], StateDict]:
    """A ``checkpoint_filter_fn`` after which dimensions of length one come and go.

    So a 1x1 convolution's weights become a linear layer's; whatever else does not fit stays.

    Args:
        translate: The ``checkpoint_filter_fn`` that gives the names.
    """

    def checkpoint_filter_fn(state_dict: Mapping[str, Any], model: nn.Module) -> StateDict:
        own = model.state_dict()
        return {
            name: _like(tensor, own[name]) if name in own else tensor
            for name, tensor in translate(state_dict, model).items()
        }

    return checkpoint_filter_fn


def _like(tensor: Tensor, own: Tensor) -> Tensor:
    theirs, ours = ([n for n in x.shape if n != 1] for x in (tensor, own))
    return tensor.reshape(own.shape) if theirs == ours else tensor


def _rename(name: str, rules: Mapping[str, str]) -> str:
    for pattern, replacement in rules.items():
        name = re.sub(pattern, replacement, name)
    return name

"""The feature maps of a timm network that make the four levels of a pyramid."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from timm.layers import GroupNorm1, LayerNorm2d
from torch import nn

from mogabench.catalogue import create_network
from mogabench.engine.parameters import named_without_decay
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

STRIDES = (4, 8, 16, 32)
"""Pixels of the image per pixel of each level."""

_SIZE_OPTIONS = {"img_size", "strict_img_size", "dynamic_img_size"}


@dataclass(frozen=True)
class Pyramid:
    """What a network offers.

    Attributes:
        indices: Which of its feature maps are the levels, the finest first.
        channels: Channels of each level.
        plain: Whether all levels come at stride 16, as a plain ViT's do, and must be rescaled.
        last_norm: The norm that feature maps lack: what the network names as its ``level_norm``,
            or has between the last map and the classifier.
        without_decay: As `without_decay` has it.
        size_options: Names of its options about the size of images.
        mean: Of the images it was made for, by channel, in pixel values 0 to 255.
        std: Likewise, the standard deviation.
    """

    indices: tuple[int, ...]
    channels: tuple[int, ...]
    plain: bool
    last_norm: nn.Module | None
    without_decay: frozenset[str]
    size_options: frozenset[str]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def norm(self, level: int) -> nn.Module:
        """What a level's map ``(N, C, H, W)`` goes through; new, with its initial weights."""
        return _like(self.last_norm, self.channels[level])


_SEEN: dict[str, Pyramid] = {}


def pyramid_of(name: str, options: Mapping[str, Any]) -> Pyramid:
    """Looks at a network, built on the meta device.

    Args:
        name: timm's name of it.
        options: Its keyword arguments.

    Raises:
        UserError: There is no such network or option, or it has no pyramid.
    """
    # A configuration's options may hold lists and dictionaries, which no cache takes as keys.
    key = f"{name} {sorted(options.items())}"
    if key not in _SEEN:
        _SEEN[key] = _look_at(name, options)
    return _SEEN[key]


def _look_at(name: str, options: Mapping[str, Any]) -> Pyramid:
    with torch.device("meta"):
        network = create_network(name, dict(options))
    info = getattr(network, "feature_info", [])
    levels = [(level["reduction"], level["num_chs"]) for level in getattr(info, "info", info)]
    strides = [stride for stride, _ in levels]
    plain = len(levels) >= len(STRIDES) and set(strides) == {16}
    if plain:
        indices = tuple(len(levels) * quarter // 4 - 1 for quarter in (1, 2, 3, 4))
    elif set(STRIDES) <= set(strides):
        last = {stride: index for index, stride in enumerate(strides)}
        indices = tuple(last[stride] for stride in STRIDES)
    else:
        raise UserError(
            f"{name} cannot be a detector's or segmentor's backbone: it has no feature maps at "
            f"strides 4, 8, 16 and 32 (timm lists {sorted(set(strides)) or 'none'})"
        )
    parameters = signature(type(network)).parameters
    config: Any = network.pretrained_cfg
    return Pyramid(
        indices=indices,
        channels=tuple(levels[index][1] for index in indices),
        plain=plain,
        last_norm=None if plain else _last_norm(network),
        without_decay=without_decay(network),
        size_options=frozenset(parameters) & _SIZE_OPTIONS,
        mean=tuple(255 * value for value in config["mean"]),
        std=tuple(255 * value for value in config["std"]),
    )


def norm_after(network: nn.Module, channels: int) -> nn.Module:
    """What a whole network's last feature map ``(N, C, H, W)`` lacks: its norm, made anew.

    Args:
        network: With its classifier; it may be on the meta device.
        channels: Of the map.
    """
    return _like(_last_norm(network), channels)


def without_decay(network: nn.Module) -> frozenset[str]:
    """Names of what a whole network keeps from weight decay, also as its feature list spells them.

    There ``layers.0`` has become ``layers_0``, and the network's ``no_weight_decay()`` is gone.

    Args:
        network: With its classifier; it may be on the meta device.
    """
    names = named_without_decay(network)
    return frozenset(names | {name.replace(".", "_", 1) for name in names})


def _like(norm: nn.Module | None, channels: int) -> nn.Module:
    """A norm of that kind for maps ``(N, C, H, W)``; none for None."""
    if norm is None:
        return nn.Identity()
    kind = GroupNorm1 if isinstance(norm, nn.GroupNorm) else LayerNorm2d
    made: nn.Module = kind(channels, eps=norm.eps)
    return made


def _last_norm(network: nn.Module) -> nn.Module | None:
    named: nn.Module | None = getattr(network, "level_norm", None)
    if named is not None:
        return named
    head = getattr(network, "head", None)
    for place in (network, head):
        norm = getattr(place, "norm", None)
        if isinstance(norm, nn.LayerNorm | nn.GroupNorm):
            return norm
    return None

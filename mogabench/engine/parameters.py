"""Which parameters have weight decay, and which part of the learning rate."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from mogabench.recipes.schema import Optimizer

_LAYERS = {"patch_embed1": 0, "blocks1": 2, "patch_embed2": 3, "blocks2": 3}
_LAYERS |= {"patch_embed3": 4, "patch_embed4": 12, "blocks4": 12}
_LAST_LAYER = 13
_STAGE_PART = re.compile(r"\b((?:patch_embed|blocks)[1-4])\.(\w+)")


def parameter_groups(network: nn.Module, settings: Optimizer) -> list[dict[str, Any]]:
    """The trainable parameters by weight decay and factor on the learning rate, ``lr_scale``.

    Args:
        network: What to train.
        settings: The recipe's weight decay, and how the rate falls from layer to layer.

    Raises:
        UserError: The network has no layers to decay by.
    """
    named = {name: value for name, value in network.named_parameters() if value.requires_grad}
    free = _without_decay(network, biases=not settings.decay_biases)
    scales = _scales(named, settings.layer_decay)
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, value in named.items():
        groups.setdefault((name not in free, scales[name]), []).append(value)
    return [
        {"params": members, "weight_decay": decays * settings.weight_decay, "lr_scale": scale}
        for (decays, scale), members in sorted(groups.items())
    ]


def _scales(names: Iterable[str], decay: float | None) -> dict[str, float]:
    """The factor on the learning rate of each parameter."""
    if decay is None:
        return dict.fromkeys(names, 1.0)
    layers = {name: _layer(name) for name in names}
    if set(layers.values()) == {_LAST_LAYER}:
        raise UserError(
            "optimizer.layer_decay: this network has no layers patch_embed1, blocks1 and so on, as "
            "MogaNet has"
        )
    return {name: decay ** (_LAST_LAYER - layer) for name, layer in layers.items()}


def _layer(name: str) -> int:
    """A parameter's layer: 0 is the stem's, the last one that of heads and of norms after stages.

    Pairs of blocks are a layer in the third stage, as in MogaNet's repository
    (``detection/mmcv_custom/layer_decay_optimizer_constructor.py``).
    """
    found = _STAGE_PART.search(name)
    if found is None:
        return _LAST_LAYER
    part, block = found.groups()
    return min(3 + int(block) // 2, 11) if part == "blocks3" else _LAYERS[part]


def _without_decay(network: nn.Module, *, biases: bool) -> set[str]:
    """Names of the parameters that weight decay spares.

    Those are vectors, such as norms and scales, whatever axes of length 1 they have beside, and
    what the network's parts say.

    Args:
        network: What to train.
        biases: Whether the biases of layers with a weight matrix are spared as well.
    """
    spared = named_without_decay(network)
    for prefix, module in network.named_modules():
        start = f"{prefix}." if prefix else ""
        weight = getattr(module, "weight", None)
        has_matrix = weight is not None and weight.ndim > 1
        for name, value in module.named_parameters(recurse=False):
            is_vector = value.ndim <= 1 or (name != "weight" and value.numel() == max(value.shape))
            if is_vector and (biases or not (name.endswith("bias") and has_matrix)):
                spared.add(start + name)
    return spared


def named_without_decay(network: nn.Module) -> set[str]:
    """Names of the parameters that a part of the network has in its ``no_weight_decay()``.

    Args:
        network: Any; its parts give names or, as timm has them, patterns.
    """
    names = [name for name, _ in network.named_parameters()]
    patterns = [
        f"{prefix}.{pattern}" if prefix else pattern
        for prefix, module in network.named_modules()
        for pattern in getattr(module, "no_weight_decay", set)()
    ]
    return {name for pattern in patterns for name in fnmatch.filter(names, pattern)}

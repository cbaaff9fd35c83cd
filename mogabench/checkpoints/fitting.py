"""The weights of a file by the names of a network, whatever program wrote them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import timm
import torch

from mogabench.catalogue import create_network
from mogabench.checkpoints.mismatch import AROUND_WINDOWS, Mismatch
from mogabench.checkpoints.naming import Naming, common_prefixes, is_implied, part_of, unwrap
from mogabench.checkpoints.positions import is_position, resample_positions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from torch import Tensor, nn

    Weights = dict[str, Tensor]

_BACKBONE = "backbone."
"""What OpenMMLab's files put before the names of the backbone."""

_COUNTERS = ("total_ops", "total_params")
"""What thop leaves in a network that it has counted."""

_OF_FEATURES = {"features_only", "feature_location", "out_indices", "num_classes", "global_pool"}
"""Options by which a network is built without some of its parts."""

_SHARED_PARTS = {"norm"}
"""Parts beside a task's backbone that a classifier may have as well."""


@dataclass(frozen=True)
class Fit:
    """What a file gives a network, complete or not.

    Attributes:
        given: The weights by the network's names.
        ignored: What is left out, by the file's names.
        notes: What was repaired.
        rivals: What comes before the names, where several networks in the file fit alike.
    """

    given: Weights
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()


def clean(weights: Weights, own: Collection[str]) -> tuple[Weights, list[str], list[str]]:
    """Takes off what wrappers have put into the names, and leaves out the counters of thop.

    Args:
        weights: By the file's names.
        own: The network's names.

    Returns:
        The weights, the names left out, and a line that counts them.
    """
    counters = [name for name in weights if name not in own and name.endswith(_COUNTERS)]
    kept = {name: tensor for name, tensor in weights.items() if name not in set(counters)}
    names = unwrap(kept, own)
    notes = [f"{len(counters)} counters of thop (total_ops, total_params) were left out"]
    plain = {names[name]: tensor for name, tensor in kept.items()}
    return plain, counters, notes if counters else []


def fit_model(weights: Weights, model: nn.Module, *, skip_head: bool) -> Fit:
    """Fits the weights into a timm-style model: under its names, or as its family released them.

    Args:
        weights: Cleaned; see `clean`.
        model: The network itself, not wrapped.
        skip_head: Leave out the classifier.
    """
    naming, own = Naming(model), model.state_dict()
    needed = {name: own[name] for name in own if not (skip_head and naming.in_head(name))}
    best, least = Fit({}), len(needed) + len(weights) + 1
    for spelled, reshaped in _spellings(weights, model, naming):
        names = naming.translate(spelled, skip_head=skip_head)
        names = _without_cut_parts(names, own, model, naming)
        given, resampled = resample_positions({names[key]: spelled[key] for key in names}, model)
        differences = len(Mismatch.compare(given, needed).names)
        if differences < least:
            rivals = naming.prefixes(spelled)
            ignored = tuple(key for key in spelled if key not in names)
            notes = (*reshaped, *resampled, *_note_new_tables(given, needed))
            best = Fit(given, ignored, notes, tuple(rivals) if len(rivals) > 1 else ())
            least = differences
        if not differences:
            break
    return best


def fit_network(weights: Weights, network: nn.Module, backbone: str) -> Fit:
    """Fits the weights into a task's network, whatever its backbone is called in the file.

    Args:
        weights: Cleaned; see `clean`.
        network: The whole network.
        backbone: The name within it of the timm network.
    """
    prefixes = common_prefixes(weights, network.state_dict())
    inside, ignored = _below(weights, prefixes[0])
    translate = getattr(network, "translate_weights", None)  # the names of a task's own releases
    if translate is not None:
        inside = translate(inside)
    own_name = f"{backbone}."
    begin = own_name if any(name.startswith(own_name) for name in inside) else _BACKBONE
    part, others = _below(inside, begin)
    fit = fit_model(part, network.get_submodule(backbone), skip_head=True)
    given = {name: inside[name] for name in others}
    given |= {own_name + name: tensor for name, tensor in fit.given.items()}
    given |= {begin + name: part[name] for name in fit.ignored if name in part}
    given = {name: tensor for name, tensor in given.items() if not is_implied(name)}
    rivals = tuple(prefixes) if len(prefixes) > 1 else ()
    return Fit(given, tuple(ignored), fit.notes, rivals)


def is_whole(weights: Weights, network: nn.Module, backbone: str) -> bool:
    """Whether a file has more of a task's network than its backbone.

    Args:
        weights: Cleaned; see `clean`.
        network: The whole network.
        backbone: The name within it of the timm network; empty where it is one itself.
    """
    own = network.state_dict()
    parts = other_parts(network, backbone)
    inside, _ = _below(weights, common_prefixes(weights, own)[0])
    return not parts or bool(parts & {part_of(name) for name in inside})


def other_parts(network: nn.Module, backbone: str) -> set[str]:
    """The parts of a task's network beside its backbone, such as ``neck``; none of a classifier."""
    if not backbone:
        return set()
    return {part_of(name) for name in network.state_dict()} - {part_of(backbone)} - _SHARED_PARTS


def _below(weights: Weights, prefix: str) -> tuple[Weights, list[str]]:
    """What begins with a prefix, without it; and the names of what does not."""
    inside = {
        name.removeprefix(prefix): tensor
        for name, tensor in weights.items()
        if name.startswith(prefix)
    }
    return inside, [name for name in weights if not name.startswith(prefix)]


def _spellings(
    weights: Weights, model: nn.Module, naming: Naming
) -> Iterator[tuple[Weights, list[str]]]:
    """The weights as they are; then as the family's ``checkpoint_filter_fn`` translates them."""
    yield weights, []
    family = _family(model)
    translate: Callable[..., Weights] | None = getattr(family, "checkpoint_filter_fn", None)
    if translate is None:
        return
    for bare in _without_prefix(weights, naming):
        try:
            translated = dict(translate(dict(bare), _as_built(model)))
        except Exception:  # it was written for the family's own files, and may fail on others
            continue
        yield _keep_sizes(translated, bare)


def _note_new_tables(given: Weights, needed: Weights) -> list[str]:
    new = sum(name.endswith(AROUND_WINDOWS) for name in needed.keys() - given.keys())
    kept = "position tables for what is around a window, which the file lacks, keep initial values"
    return [f"{new} {kept}"] if new else []


def _without_prefix(weights: Weights, naming: Naming) -> Iterator[Weights]:
    """The weights with less and less of what all names begin with."""
    yield weights
    while len({part_of(name) for name in weights}) == 1 and all("." in name for name in weights):
        weights = {name.partition(".")[2]: tensor for name, tensor in weights.items()}
        yield weights
    inside, _ = _below(weights, _BACKBONE)
    if inside:
        head = naming.foreign_head(weights)
        yield inside | {name: weights[key] for key, name in head.items()}


def _keep_sizes(translated: Weights, original: Weights) -> tuple[Weights, list[str]]:
    """Takes back what a translation has resized, such as kernels; but not position embeddings."""
    resized = [
        name
        for name, tensor in translated.items()
        if name in original and original[name].numel() != tensor.numel()
    ]
    positions = [name for name in resized if is_position(name) or name.endswith("bias")]
    kept = {name: original[name] for name in resized if name not in positions}
    notes = [f"{len(positions)} position embeddings were resampled by timm to this image size"]
    return translated | kept, notes if positions else []


def _without_cut_parts(
    names: dict[str, str], own: Collection[str], model: nn.Module, naming: Naming
) -> dict[str, str]:
    """The names without those of layers that a network for features was built without."""
    if naming.has_head or all(name in own for name in names.values()):
        return names
    whole = _whole_network(model)
    known = naming.translate(whole.state_dict(), skip_head=True).values() if whole else ()
    cut = set(known) - set(own)
    return {key: name for key, name in names.items() if name not in cut}


def _family(model: nn.Module) -> Any:
    """The module that defines a network, or the one that it gives the features of."""
    cfg = getattr(model, "pretrained_cfg", None) or {}
    name = cfg.get("architecture", "")
    module = (
        timm.model_entrypoint(name).__module__ if timm.is_model(name) else type(model).__module__
    )
    return sys.modules[module]


def _as_built(model: nn.Module) -> nn.Module:
    """The network with its modules as named in its class, which feature lists flatten."""
    is_list = type(model).__module__ == "timm.models._features"
    return _whole_network(model) or model if is_list else model


def _whole_network(model: nn.Module) -> nn.Module | None:
    """The network, without values, that timm builds by the name and the options of a part of it."""
    name = (getattr(model, "pretrained_cfg", None) or {}).get("architecture", "")
    if not timm.is_model(name):
        return None
    given: dict[str, Any] = getattr(model, "built_with", {})
    options = {option: value for option, value in given.items() if option not in _OF_FEATURES}
    with torch.device("meta"):
        return create_network(name, options)

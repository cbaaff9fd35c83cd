"""Fitting the weights of a file into a model: all of them, or none and a clear account."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import timm
import torch

import mogabench.models  # noqa: F401  (registers the MogaNet variants with timm)
from mogabench.checkpoints.naming import Naming
from mogabench.checkpoints.reading import read_state_dict
from mogabench.errors import UserError
from mogabench.variants import VARIANTS

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

Weights = dict[str, "Tensor"]

_LISTED = 3
"""How many names of each kind an error shows."""


@dataclass(frozen=True)
class Report:
    """What was loaded from where.

    Attributes:
        path: The file.
        sha256: Its digest in hexadecimal.
        entry: Where in the file the weights were, such as ``state_dict_ema``.
        loaded: Number of tensors that the model took.
        ignored: Names in the file that are no part of the model: a detector's neck and head, the
            classifier of a network that is used for its features.
        new_head: Whether the model kept its own, freshly initialised classifier.
    """

    path: Path
    sha256: str
    entry: str
    loaded: int
    ignored: tuple[str, ...]
    new_head: bool


@dataclass(frozen=True)
class Misfit:
    """How the weights of a file differ from those a model needs, by name."""

    missing: list[str]
    unexpected: list[str]
    misshapen: list[str]

    @classmethod
    def compare(cls, given: Weights, needed: Weights) -> Misfit:
        """What of the needed weights is not given, or the other way round, or of another shape."""
        return cls(
            missing=[name for name in needed if name not in given],
            unexpected=[name for name in given if name not in needed],
            misshapen=[
                name for name in needed if name in given and given[name].shape != needed[name].shape
            ],
        )

    @property
    def names(self) -> list[str]:
        """All that does not fit."""
        return [*self.missing, *self.unexpected, *self.misshapen]

    def describe(self, given: Weights, needed: Weights) -> str:
        """How many names of each kind there are, and the first few."""
        shapes = [
            f"{name} is {_shape(given[name])} and should be {_shape(needed[name])}"
            for name in self.misshapen
        ]
        kinds = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": shapes,
        }
        return "; ".join(
            f"{len(names)} {kind} ({', '.join(names[:_LISTED])}{', …' * (len(names) > _LISTED)})"
            for kind, names in kinds.items()
            if names
        )


def load_weights(
    model: nn.Module, path: Path, *, new_head: bool = False, prefer_ema: bool = True
) -> Report:
    """Loads a file into a timm-style model, which is left as it was if anything does not fit.

    Names are matched whatever the file puts before them (``module.``, ``backbone.``, …), and the
    classifier ``head.fc`` of OpenMixup goes to the model's own. A network without a classifier
    ignores the file's, and the stages that it was built without.

    Args:
        model: The network, wrapped or not.
        path: Any file that ``read_state_dict`` reads.
        new_head: Leave the model's own classifier as it is.
        prefer_ema: Take the averaged weights where the file has both.

    Raises:
        UserError: The file cannot be read, its weights are not those of this model, or not finite.
    """
    checkpoint = read_state_dict(path, prefer_ema=prefer_ema)
    target = _innermost(model)
    weights = _translate_released(checkpoint.state_dict, target)
    naming = Naming(target)
    own = target.state_dict()
    needed = {name: own[name] for name in own if not (new_head and naming.in_head(name))}
    names = naming.translate(weights, skip_head=new_head)
    given = {name: weights[key] for key, name in names.items()}
    misfit = Misfit.compare(given, needed)
    if misfit.names and all(map(naming.in_head, misfit.names)):
        raise UserError(f"{path} {_other_head(misfit, given, needed)}")
    if misfit.names:
        raise UserError(
            f"{path} does not fit {_title(target)}: {misfit.describe(given, needed)}"
            f"{_hint(given, needed, checkpoint.meta)}"
        )
    check_finite(path, given)
    target.load_state_dict(given, strict=False)
    ignored = tuple(key for key in weights if key not in names)
    return Report(path, checkpoint.sha256, checkpoint.entry, len(given), ignored, new_head)


def check_finite(path: Path, weights: Weights) -> None:
    """Refuses weights that are not finite.

    Raises:
        UserError: Some are not.
    """
    spoiled = [name for name, value in weights.items() if not torch.isfinite(value).all()]
    if spoiled:
        raise UserError(
            f"{path} holds numbers that are not finite, such as in {spoiled[0]}: the training that "
            "it comes from has diverged"
        )


def _innermost(model: nn.Module) -> nn.Module:
    """The network inside wrappers such as DDP, ``torch.compile`` and timm's feature getter."""
    children = list(model.children())
    while len(children) == 1 and not list(model.parameters(recurse=False)):
        (model,) = children
        children = list(model.children())
    return model


def _translate_released(weights: Weights, model: nn.Module) -> Weights:
    """The weights by our names, where the file has those of the family's own release."""
    family = sys.modules[type(model).__module__]
    translate = getattr(family, "checkpoint_filter_fn", None)
    if translate is None or not family.__name__.startswith("mogabench.models."):
        return weights
    first = {name.partition(".")[0] for name in weights}
    if len(first) == 1:  # DDP's ``module.``, say
        weights = {name.partition(".")[2]: tensor for name, tensor in weights.items()}
    translated: Weights = translate(weights, model)
    return translated


def _other_head(misfit: Misfit, given: Weights, needed: Weights) -> str:
    advice = (
        "; pass --new-head to train a new classifier, or --class-map FILE where the data has some "
        "of the classes"
    )
    if not misfit.misshapen:
        return f"has no classifier that fits{advice}"
    name = misfit.misshapen[0]
    return f"was trained for {len(given[name])} classes, not for {len(needed[name])}{advice}"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a single number"


def _title(model: nn.Module) -> str:
    cfg = getattr(model, "pretrained_cfg", None) or {}
    return str(cfg.get("architecture", type(model).__name__))


def _hint(given: Weights, needed: Weights, meta: dict[str, Any]) -> str:
    """What the file seems to be instead, by its shapes or by its own description."""
    variants = _variants()
    nearest = max(variants, key=lambda name: _likeness(given, variants[name]))
    if _likeness(given, variants[nearest]) > max(_likeness(given, needed), 0.5):
        return f"; it fits {nearest} better"
    return f"; it calls itself {meta['arch']}" if "arch" in meta else ""


@cache
def _variants() -> dict[str, Weights]:
    with torch.device("meta"):
        return {name: timm.create_model(name).state_dict() for name in VARIANTS.values()}


def _likeness(given: Weights, other: Weights) -> float:
    """The share of names and shapes that two networks have in common, from 0 to 1."""
    mine = {(name, tensor.shape) for name, tensor in given.items()}
    theirs = {(name, tensor.shape) for name, tensor in other.items()}
    return len(mine & theirs) / len(mine | theirs)

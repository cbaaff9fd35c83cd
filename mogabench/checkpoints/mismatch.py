"""How the weights of a file differ from those that a network needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import timm
import torch

import mogabench.models  # noqa: F401  (registers the MogaNet variants with timm)
from mogabench.variants import VARIANTS

if TYPE_CHECKING:
    from torch import Tensor

Weights = dict[str, "Tensor"]

_LISTED = 3
"""How many names of each kind an error shows."""

_LONGEST = 60
"""Characters of a name that an error shows."""

AROUND_WINDOWS = ".relative_position_bias_table_to_neighbors"
"""What Focal Transformers lack where a map is a single window, such as the last at 224x224."""

_UNNEEDED = (".num_batches_tracked", AROUND_WINDOWS)
"""What files may lack; the first, which other frameworks leave out, only a cumulative mean uses."""


@dataclass(frozen=True)
class Mismatch:
    """How the weights of a file differ from those a model needs, by name."""

    missing: list[str]
    unexpected: list[str]
    misshapen: list[str]

    @classmethod
    def compare(cls, given: Weights, needed: Weights) -> Mismatch:
        """What of the needed weights is not given, or the other way round, or of another shape."""
        return cls(
            missing=[name for name in needed if name not in given and not name.endswith(_UNNEEDED)],
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
        kinds = {
            "missing": [_short(name) for name in self.missing[:_LISTED]],
            "unexpected": [_short(name) for name in self.unexpected[:_LISTED]],
            "of another shape": [
                f"{_short(name)} is {_shape(given[name])} and should be {_shape(needed[name])}"
                for name in self.misshapen[:_LISTED]
            ],
        }
        counts = (len(self.missing), len(self.unexpected), len(self.misshapen))
        return "; ".join(
            f"{count} {kind} ({', '.join(shown)}{', …' * (count > _LISTED)})"
            for count, (kind, shown) in zip(counts, kinds.items(), strict=True)
            if count
        )


def hint(given: Weights, needed: Weights, meta: dict[str, Any]) -> str:
    """What a file seems to be instead, by its shapes or by its own description; may be empty."""
    variants = _variants()
    nearest = max(variants, key=lambda name: _likeness(given, variants[name]))
    if _likeness(given, variants[nearest]) > max(_likeness(given, needed), 0.5):
        return f"; it fits {nearest} better"
    arch = meta.get("arch")
    return f"; it calls itself {_short(arch)}" if isinstance(arch, str) else ""


def _short(name: str) -> str:
    """A name without its middle where it is long."""
    if len(name) <= _LONGEST:
        return name
    half = _LONGEST // 2 - 1
    return f"{name[:half]}…{name[-half:]}"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a single number"


@cache
def _variants() -> dict[str, Weights]:
    with torch.device("meta"):
        return {name: timm.create_model(name).state_dict() for name in VARIANTS.values()}


def _likeness(given: Weights, other: Weights) -> float:
    """The share of names and shapes that two networks have in common, from 0 to 1."""
    mine = {(name, tensor.shape) for name, tensor in given.items()}
    theirs = {(name, tensor.shape) for name, tensor in other.items()}
    return len(mine & theirs) / len(mine | theirs)

"""What a model calls the tensors of a file that another toolkit wrote."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from torch import nn

_DENSE = "backbone."
"""What OpenMixup and the OpenMMLab toolkits put before the names of the network proper."""

_IMPLIED = (".relative_position_index", ".attn_mask")
"""What older files store although the size of an attention's windows implies it."""

_FOREIGN_HEAD = "head.fc."
"""What OpenMixup and mmpretrain call the classifier, beside ``backbone.``."""


class Naming:
    """Translates a file's names into those of one timm-style model."""

    def __init__(self, model: nn.Module) -> None:
        self._own = set(model.state_dict())
        self._parts = {_part(name) for name in self._own}
        self._head = tuple(_classifier_prefixes(model))
        self._has_head = any(map(self.in_head, self._own))

    def in_head(self, name: str) -> bool:
        """Whether a name of the model belongs to its classifier."""
        return name.startswith(self._head)

    def translate(self, keys: Collection[str], *, skip_head: bool) -> dict[str, str]:
        """The model's names for the keys of a file, without those that are none of its business.

        Left out are what lies beside the network (a neck, a detector's head), the classifier if
        it is to be skipped or the model has none, and, for a model without a classifier, whole
        stages that it lacks. A name that the model ought to have but has not is kept.
        """
        prefix = self._prefix(keys)
        names = {key: self._spell(key[len(prefix) :]) for key in keys if key.startswith(prefix)}
        if prefix.endswith(_DENSE) and self._has_head:
            foreign = prefix.removesuffix(_DENSE) + _FOREIGN_HEAD
            heads = [key for key in keys if key.startswith(foreign)]
            names |= {key: self._head[0] + key.removeprefix(foreign) for key in heads}
        return {key: name for key, name in names.items() if self._expects(name, skip_head)}

    def _expects(self, name: str, skip_head: bool) -> bool:
        if self.in_head(name):
            return self._has_head and not skip_head
        if name.endswith(_IMPLIED) and name not in self._own:
            return False
        return self._has_head or _part(name) in self._parts

    def _prefix(self, keys: Collection[str]) -> str:
        """What most keys have before a name of the model."""
        votes = Counter(
            key[:cut] for key in keys for cut in _cuts(key) if self._spell(key[cut:]) in self._own
        )
        return max(votes, key=votes.__getitem__, default="")

    def _spell(self, name: str) -> str:
        """The name as in timm's feature lists, where ``stages.0`` has become ``stages_0``."""
        flat = name.replace(".", "_", 1)
        return flat if _part(name) not in self._parts and _part(flat) in self._parts else name


def _part(name: str) -> str:
    return name.partition(".")[0]


def _cuts(key: str) -> Iterator[int]:
    yield 0
    yield from (place + 1 for place, sign in enumerate(key) if sign == ".")


def _classifier_prefixes(model: nn.Module) -> Iterator[str]:
    """Where the classifier lies, or would lie but for ``num_classes=0``, such as ``head.fc.``."""
    get_classifier: Any = getattr(model, "get_classifier", None)
    found = get_classifier() if get_classifier else ()
    classifiers = found if isinstance(found, tuple) else (found,)
    for name, module in model.named_modules():
        if any(module is classifier for classifier in classifiers):
            yield f"{name}."

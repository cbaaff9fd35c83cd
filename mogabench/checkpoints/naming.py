"""What a model calls the tensors of a file that another program wrote."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from torch import nn

_DENSE = "backbone."
"""What OpenMixup and the OpenMMLab toolkits put before the names of the network proper."""

_IMPLIED = (".relative_position_index", ".attn_mask")
"""What older files store although the size of an attention's windows implies it."""

_FOREIGN_HEAD = "head.fc."
"""What OpenMixup and mmpretrain call the classifier, beside ``backbone.``."""

_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""What DDP, ``torch.compile``, FSDP and its checkpointing put into names, anywhere."""


class Naming:
    """Translates a file's names into those of one timm-style model."""

    def __init__(self, model: nn.Module) -> None:
        self._own = set(model.state_dict())
        self._parts = {part_of(name) for name in self._own}
        self._head = tuple(_classifier_prefixes(model))
        self.has_head = any(map(self.in_head, self._own))

    def in_head(self, name: str) -> bool:
        """Whether a name of the model belongs to its classifier."""
        return name.startswith(self._head)

    def translate(self, keys: Collection[str], *, skip_head: bool) -> dict[str, str]:
        """The model's names for the keys of a file, without those that are none of its business.

        Left out are what lies beside the network (a neck, a detector's head), the classifier if
        it is to be skipped or the model has none, and, for a model without a classifier, whole
        stages that it lacks. A name that the model ought to have but has not is kept.
        """
        prefix = self.prefixes(keys)[0]
        names = {key: self._spell(key[len(prefix) :]) for key in keys if key.startswith(prefix)}
        if prefix.endswith(_DENSE):
            names |= self.foreign_head(keys, prefix.removesuffix(_DENSE))
        return {key: name for key, name in names.items() if self._expects(name, skip_head)}

    def prefixes(self, keys: Collection[str]) -> list[str]:
        """What keys have before a name of the model; several where as many have each."""
        return common_prefixes(keys, self._own, self._spell)

    def foreign_head(self, keys: Collection[str], prefix: str = "") -> dict[str, str]:
        """The model's names for the classifier of OpenMixup and mmpretrain.

        Args:
            keys: Of the file.
            prefix: What is before ``backbone.`` and ``head.fc.`` there.
        """
        foreign = prefix + _FOREIGN_HEAD
        found = [key for key in keys if key.startswith(foreign)] if self.has_head else []
        return {key: self._head[0] + key.removeprefix(foreign) for key in found}

    def _expects(self, name: str, skip_head: bool) -> bool:
        if self.in_head(name):
            return self.has_head and not skip_head
        if is_implied(name) and name not in self._own:
            return False
        return self.has_head or part_of(name) in self._parts

    def _spell(self, name: str) -> str:
        """The name as in timm's feature lists, where ``stages.0`` has become ``stages_0``."""
        flat = name.replace(".", "_", 1)
        return flat if part_of(name) not in self._parts and part_of(flat) in self._parts else name


def unwrap(keys: Collection[str], own: Collection[str]) -> dict[str, str]:
    """The keys without what wrappers have put into them; as they are where two would be equal.

    Args:
        keys: Of the file.
        own: The network's names, which may have such parts themselves.
    """
    dropped = _WRAPPERS - {part for name in own for part in name.split(".")}
    plain = [".".join(part for part in key.split(".") if part not in dropped) for key in keys]
    return dict(zip(keys, plain if len(set(plain)) == len(plain) else keys, strict=True))


def common_prefixes(
    keys: Collection[str], own: Collection[str], spell: Callable[[str], str] = str
) -> list[str]:
    """What most keys have before a name of the network, the likeliest first.

    Args:
        keys: Of the file.
        own: The network's names.
        spell: Makes the name of a key without its prefix.

    Returns:
        One prefix, which may be empty; or several, where at least half the network is under each
        and as much of it: a student and its teacher, say.
    """
    votes = Counter(key[:cut] for key in keys for cut in _cuts(key) if spell(key[cut:]) in own)
    most = max(votes.values(), default=0)
    best = [prefix for prefix in votes if votes[prefix] == most] or [""]
    is_half = 2 * most >= len(own)
    return best if is_half and "" not in best else sorted(best, key=bool)[:1]


def is_implied(name: str) -> bool:
    """Whether a tensor follows from the network's sizes, so that a file may have it or not."""
    return name.endswith(_IMPLIED)


def part_of(name: str) -> str:
    """The name of the outermost module."""
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

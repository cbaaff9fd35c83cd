"""The modules that decide what is counted or timed of a network."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from timm.models import is_model, model_entrypoint

from mogabench.catalogue import imported_modules
from mogabench.records.code import digests, package_of

if TYPE_CHECKING:
    from torch import nn

    from mogabench.subject import Subject

_OF_NETWORKS = tuple(f"mogabench.{name}." for name in ("layers", "models", "openmmlab", "ops"))
_COUNTER = tuple(f"mogabench.measure.{name}" for name in ("complexity", "conventions", "operators"))


def network_code(subject: Subject, network: nn.Module) -> dict[str, str]:
    """Digests of the project's code behind a network, and of the user's that was imported.

    That is its classes, its sizes, its builder, and what these take from other modules: base
    classes, layers that are made by a function, and functions that are called.
    """
    modules = {type(module).__module__ for module in network.modules()}
    modules.add(f"mogabench.tasks.{subject.task}.network")
    if subject.form == "inference":
        modules.add("mogabench.layers.fusion")
    if any(name.startswith("mogabench.openmmlab") for name in modules):
        modules.add("mogabench.openmmlab.configs")
    if is_model(subject.backbone):
        modules.add(model_entrypoint(subject.backbone).__module__)
    imported = {package_of(module.__name__) for module in imported_modules()}
    used = _with_used(modules, (f"mogabench.tasks.{subject.task}.", *imported))
    return digests(used, packages=imported)


def _with_used(modules: set[str], beside: tuple[str, ...]) -> set[str]:
    """The modules, and those whose classes and functions they use: of networks, and ``beside``."""
    ours = (*_OF_NETWORKS, *beside)
    found: set[str] = set()
    waiting = set(modules)
    while waiting:
        name = waiting.pop()
        found.add(name)
        if name.startswith(ours) and name in sys.modules:
            values = vars(sys.modules[name]).values()
            used = {str(getattr(value, "__module__", "")) for value in values}
            waiting |= {other for other in used if other.startswith(ours)} - found
    return found


def counter_code() -> dict[str, str]:
    """Digests of the code that counts."""
    return digests(_COUNTER)

"""The modules that decide what is counted or timed of a network."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mogabench.catalogue import builder_of, imported_modules
from mogabench.records.code import digests, package_of
from mogabench.tasks import get_task

if TYPE_CHECKING:
    from torch import nn

    from mogabench.subject import Subject

_OF_NETWORKS = tuple(f"mogabench.{name}." for name in ("layers", "models", "openmmlab", "ops"))
_OF_EXPORTS = (
    "mogabench.layers.fusion",
    *(f"mogabench.runtimes.{name}" for name in ("exporting", "runtime", "tracing")),
)
_OTHERS = {package_of(__name__), "timm"}
"""Packages that are not the user's; records state the version of timm."""
_IMPORTED_LATE = {"mogabench.ops.depthwise_kernels": "mogabench.ops.kernels"}
"""What a module imports where it is needed, as kernels need Triton."""
_COUNTER = tuple(f"mogabench.measure.{name}" for name in ("complexity", "conventions", "operators"))


def network_code(
    subject: Subject, network: nn.Module, fused: nn.Module | None = None
) -> dict[str, str]:
    """Digests of the project's code behind a network, and of the user's.

    Of the project's that is its classes, its sizes, its builder, and what these take from other
    modules: base classes, layers that are made by a function, and functions that are called. Of
    the user's it is all that is loaded, for a number may come from any of it.

    Args:
        subject: What is counted or timed.
        network: As it is built.
        fused: What another runtime computes of it; None where PyTorch computes it as it is.
    """
    modules = {type(module).__module__ for module in network.modules()}
    modules.add(f"mogabench.tasks.{subject.task}.network")
    if subject.form == "inference":
        modules.add("mogabench.layers.fusion")
    if fused is not None:
        modules |= {type(module).__module__ for module in fused.modules()} | set(_OF_EXPORTS)
    if any(name.startswith("mogabench.openmmlab") for name in modules):
        modules.add("mogabench.openmmlab.configs")
    builder = builder_of(subject.backbone)
    if builder is not None:
        modules.add(builder)
    own = _own_modules(type(get_task(subject.task)).__module__, builder)
    used = _with_used(modules | own, (*_OF_NETWORKS, f"mogabench.tasks.{subject.task}."), own)
    used |= {late for module, late in _IMPORTED_LATE.items() if module in used}
    return digests(used, packages=map(package_of, own))


def _own_modules(task: str, builder: str | None) -> set[str]:
    """The user's modules that are loaded: the imported ones, what lies beside, task and builder."""
    named = (task, builder or task, *(one.__name__ for one in imported_modules()))
    packages = set(map(package_of, named)) - _OTHERS
    folders = {_folder(sys.modules.get(name)) for name in packages} - {None}
    loaded = list(sys.modules.items()) if folders else []
    packages |= {name for name, one in loaded if "." not in name and _folder(one) in folders}
    modules = {name for name in sys.modules if package_of(name) in packages - _OTHERS}
    is_folder = hasattr(sys.modules.get(task), "__path__")  # as the project's, with a builder
    return modules if is_folder else modules | {task}


def _folder(module: object) -> Path | None:
    """Where a module, or the folder of a package, lies; None where all that is installed does."""
    values = vars(module) if isinstance(module, ModuleType) else {}
    place = next(iter(values.get("__path__") or ()), None) or values.get("__file__")
    folder = Path(place).parent if place else None
    return None if folder and folder.name in ("site-packages", "dist-packages") else folder


def _with_used(modules: set[str], ours: tuple[str, ...], own: set[str]) -> set[str]:
    """The modules, and those of ours and one's own whose classes and functions they use."""
    found: set[str] = set()
    waiting = set(modules)
    while waiting:
        name = waiting.pop()
        found.add(name)
        if (name.startswith(ours) or name in own) and name in sys.modules:
            values = vars(sys.modules[name]).values()
            used = {str(getattr(value, "__module__", "")) for value in values}
            waiting |= {other for other in used if other.startswith(ours)} - found
    return found


def counter_code() -> dict[str, str]:
    """Digests of the code that counts."""
    return digests(_COUNTER)

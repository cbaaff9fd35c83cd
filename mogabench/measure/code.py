"""The modules that decide what is counted or timed of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timm.models import is_model, model_entrypoint

from mogabench.records.code import digests

if TYPE_CHECKING:
    from torch import nn

    from mogabench.subject import Subject

_COUNTER = tuple(f"mogabench.measure.{name}" for name in ("complexity", "conventions", "operators"))


def network_code(subject: Subject, network: nn.Module) -> dict[str, str]:
    """Digests of the project's code behind a network: its classes, its sizes and its builder."""
    modules = {type(module).__module__ for module in network.modules()}
    modules.add(f"mogabench.tasks.{subject.task}.network")
    if any(name.startswith("mogabench.openmmlab") for name in modules):
        modules.add("mogabench.openmmlab.configs")
    if is_model(subject.backbone):
        modules.add(model_entrypoint(subject.backbone).__module__)
    return digests(modules)


def counter_code() -> dict[str, str]:
    """Digests of the code that counts."""
    return digests(_COUNTER)

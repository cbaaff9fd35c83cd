"""The tasks: one file each, found by being in this folder.

A module here takes part by defining ``TASK``. Importing it must not import torch, so that
listing the tasks stays instant; the heavy imports belong inside the methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol

from mogabench.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor, nn

    from mogabench.engine.job import Job
    from mogabench.engine.runner import QuietRunner
    from mogabench.recipes import Recipe
    from mogabench.subject import Subject


@dataclass(frozen=True)
class Metric:
    """A figure of quality: its key in records, how tables head it, and which way is better."""

    name: str
    label: str
    unit: str
    higher_is_better: bool = True


class Task(Protocol):
    """What a task must offer; see ``classification.py`` for one."""

    name: str
    title: str
    methods: tuple[str, ...]
    metrics: tuple[Metric, ...]
    default_sizes: Mapping[str, tuple[int, ...]]
    """The input size behind the paper's figures, by method."""
    recipe_schema: type[Recipe]
    """What its recipes may say."""
    sample_recipe: str
    """What ``--data sample --train`` follows where no recipe is named."""
    datasets: Mapping[str, str]
    """What records call the data set behind the paper's figures, by method."""
    counting: str
    """What one forward pass takes in when parameters and operations are counted."""

    def backbones(self) -> Collection[str]:
        """The names that a subject's backbone may have."""
        ...

    def default_recipe(self, subject: Subject) -> str:
        """The same for other data."""
        ...

    def build(self, subject: Subject) -> nn.Module:
        """Builds the network with random weights; valid under ``torch.device("meta")``."""
        ...

    def example_inputs(self, subject: Subject, batch_size: int = 1) -> tuple[Tensor, ...]:
        """Inputs for one forward pass, made on the current default device."""
        ...

    def runner(self, job: Job) -> QuietRunner:
        """The mmengine Runner that trains or evaluates what the job asks for."""
        ...


@cache
def tasks() -> dict[str, Task]:
    """Every task by name."""
    modules = (import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__))
    found: list[Task] = [module.TASK for module in modules if hasattr(module, "TASK")]
    return {task.name: task for task in found}


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        UserError: There is none; the nearest names are suggested.
    """
    if name not in tasks():
        raise unknown("task", name, tasks())
    return tasks()[name]

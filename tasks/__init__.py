"""The tasks, and the registry that finds them.

A task is a module or a package in this folder with an instance of `mogabench.engine.task.Task`
called ``TASK``. One of your own is found by ``--import PACKAGE``, whose module has such a ``TASK``,
or by an entry point of the group ``mogabench.tasks`` that names it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from mogabench import recipes
from mogabench.catalogue import imported_modules
from mogabench.errors import UserError, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mogabench.engine.task import Task
    from mogabench.recipes import Recipe

_GROUP = "mogabench.tasks"


def tasks() -> dict[str, Task[Any, Any]]:
    """Every task by name: the project's own, those of entry points, and imported ones.

    Raises:
        UserError: Two of them have the same name.
    """
    imported = [module.TASK for module in imported_modules() if hasattr(module, "TASK")]
    found: dict[str, Task[Any, Any]] = {}
    for task in (*_installed(), *imported):
        if found.setdefault(task.name, task) is not task:
            raise UserError(f"two tasks are called '{task.name}'")
    return found


def get_task(name: str) -> Task[Any, Any]:
    """The task of that name.

    Raises:
        UserError: There is none; the nearest names are suggested.
    """
    found = tasks()
    if name not in found:
        raise unknown("task", name, found)
    return found[name]


def recipe_task(name_or_path: str | Path) -> Task[Any, Any]:
    """The task that a recipe is for.

    Args:
        name_or_path: A recipe's name, or a YAML file.

    Raises:
        UserError: There is no such recipe, or it is for no known task.
    """
    found = tasks()
    for task in found.values():
        if str(name_or_path) in task.recipes:
            return task
    name = recipes.task_name(name_or_path)
    if name is None:
        raise unknown("recipe", str(name_or_path), recipe_names())
    if name not in found:
        raise UserError(f"the recipe {name_or_path}: {unknown('task', name, found)}")
    return found[name]


def recipe_names() -> list[str]:
    """The names of all tasks' recipes."""
    return sorted(name for task in tasks().values() for name in recipes.names(task))


def load_recipe(
    name_or_path: str | Path, *, variant: str | None = None, overrides: Sequence[str] = ()
) -> Recipe:
    """Resolves a recipe of any task; see `mogabench.recipes.load`."""
    task = recipe_task(name_or_path)
    recipe: Recipe = recipes.load(name_or_path, task, variant=variant, overrides=overrides)
    return recipe


@cache
def _installed() -> tuple[Task[Any, Any], ...]:
    modules = (import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__))
    own = [module.TASK for module in modules if hasattr(module, "TASK")]
    return (*own, *(_load(entry) for entry in entry_points(group=_GROUP)))


def _load(entry: Any) -> Task[Any, Any]:
    try:
        task: Task[Any, Any] = entry.load()
    except Exception as error:  # another package may fail in any way
        raise UserError(
            f"the task '{entry.name}' of {entry.value} cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    return task

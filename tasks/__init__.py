"""The tasks, and the registry that finds them.

A task is a module or a package in this folder with an instance of `mogabench.engine.task.Task`
called ``TASK``. One of your own is found by ``--import PACKAGE``, whose module has such a ``TASK``,
by an entry point of the group ``mogabench.tasks`` that names it, or, in a program, by
`register_task`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mogabench import recipes
from mogabench.catalogue import check_backbone, imported_modules
from mogabench.engine.task import Task
from mogabench.errors import UserError, unknown
from mogabench.sizes import check_size, read_size
from mogabench.subject import OptionValue, Subject, parse_option
from mogabench.variants import VARIANTS, backbone_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mogabench.engine.task import TaskOptions
    from mogabench.paper import Meta
    from mogabench.recipes import Recipe

_GROUP = "mogabench.tasks"
_OPTION: TypeAdapter[tuple[str, OptionValue]] = TypeAdapter(
    tuple[str, OptionValue], config=ConfigDict(allow_inf_nan=False)
)
_registered: list[Task[Any, Any]] = []


def register_task(task: Task[Any, Any]) -> None:
    """Makes a task known in this process.

    Args:
        task: The task.

    Raises:
        UserError: Another task has its name.
    """
    if tasks().get(task.name, task) is not task:
        raise UserError(f"there is already a task called '{task.name}'")
    if task not in _registered:
        _registered.append(task)


def tasks() -> dict[str, Task[Any, Any]]:
    """Every task by name: the project's own, those of entry points, imported and registered ones.

    Raises:
        UserError: Two of them have the same name, or a ``TASK`` is something else.
    """
    imported = [
        _checked(module.TASK, f"TASK of {module.__name__}")
        for module in imported_modules()
        if hasattr(module, "TASK")
    ]
    found: dict[str, Task[Any, Any]] = {}
    for task in (*_installed(), *imported, *_registered):
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


def make_subject(
    task: Task[Any, Any],
    backbone: str,
    *,
    method: str | None = None,
    input_size: tuple[int, ...] | None = None,
    options: Mapping[str, OptionValue] | None = None,
) -> Subject:
    """What is measured of a backbone in a task.

    Args:
        task: The task.
        backbone: A timm model name.
        method: One of the task's methods; the first by default.
        input_size: ``(H, W)`` in pixels, or ``(T, C, H, W)``; by default the tables' own.
        options: Keyword arguments of the backbone.

    Raises:
        UserError: One of them does not exist, or does not fit the task.
    """
    if method is not None and method not in task.methods:
        raise unknown(f"method of {task.name}", method, task.methods)
    chosen = method or task.methods[0]
    default = task.default_sizes[chosen]
    if options and "in_chans" in options and not task.takes_channels:
        raise UserError(
            f"{task.name} takes no --option in_chans: its inputs have a fixed number of channels"
        )
    return Subject(
        task=task.name,
        method=chosen,
        backbone=check_backbone(backbone, task.backbones(), task.backbone_word),
        input_size=default if input_size is None else check_size(input_size, default, task.name),
        options=tuple(map(_checked_option, (options or {}).items())),
    )


def _checked_option(option: tuple[str, Any]) -> tuple[str, OptionValue]:
    """An option of a network that a record can hold.

    Raises:
        UserError: Its value is something else.
    """
    try:
        return _OPTION.validate_python(option)
    except ValidationError:
        name, value = option
        raise UserError(
            f"option {name}: {value!r} is not a text, a finite number, true, false or a list of "
            "numbers"
        ) from None


def choose_subject(
    task: Task[Any, Any],
    *,
    variant: str | None,
    backbone: str | None,
    method: str | None,
    size: str | None,
    options: Sequence[str],
    ablated: Meta | None = None,
) -> Subject:
    """The subject that the options of `mogabench run` name.

    Args:
        task: The command's.
        variant: Of MogaNet.
        backbone: Any other backbone.
        method: One of the task's; its first by default.
        size: As text.
        options: Each ``NAME=VALUE``.
        ablated: The network of an ablation: its options are set unless `options` has them, and
            its backbone and size are taken where none is named.

    Raises:
        UserError: They contradict each other, or name something unknown.
    """
    if ablated is not None and variant is None and backbone is None:
        backbone = ablated.backbone
    if (variant is None) == (backbone is None):
        named = f"--variant ({', '.join(VARIANTS)}) or --backbone NAME, one of them"
        is_usual = task.backbone_word == "backbone"
        raise UserError(f"give {named if is_usual else f'--{task.backbone_word} NAME'}")
    parsed = dict(map(parse_option, options))
    if ablated is not None:
        parsed = dict(ablated.options) | parsed
        if size is None and ablated.task == task.name:
            size = "x".join(map(str, ablated.input_size))
    return make_subject(
        task,
        backbone_of(variant) if variant else backbone or "",
        method=method,
        input_size=None if size is None else read_size(size, task.default_sizes[task.methods[0]]),
        options=parsed,
    )


def own_options(task: Task[Any, Any], values: Mapping[str, Any]) -> TaskOptions:
    """A task's own options.

    Args:
        task: The task.
        values: By the names of its fields.

    Raises:
        UserError: The task has no such option, or refuses a value.
    """
    fields = task.Options.model_fields
    for name in values.keys() - fields.keys():
        owners = [other.name for other in tasks().values() if name in other.Options.model_fields]
        if owners:
            listed = " and ".join(owners)
            raise UserError(f"{flag(name)} is an option of {listed}, not of {task.name}")
        raise unknown(f"option of {task.name}", name, fields)
    try:
        options: TaskOptions = task.Options(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = flag(str(first["loc"][0])) if first["loc"] else task.name
        raise UserError(f"{where} {first['input']}: {first['msg']}") from None
    return options


def flag(name: str) -> str:
    """How the command line writes the option of a field."""
    return f"--{name.replace('_', '-')}"


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
    carried = {name: text for task in found.values() for name, text in task.recipes.items()}
    name = recipes.task_name(name_or_path, carried)
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
        task = entry.load()
    except Exception as error:  # another package may fail in any way
        raise UserError(
            f"the task '{entry.name}' of {entry.value} cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    return _checked(task, entry.value)


def _checked(task: Any, place: str) -> Task[Any, Any]:
    if not isinstance(task, Task):
        raise UserError(
            f"{place} is a {type(task).__name__}, not an instance of mogabench.engine.task.Task"
        )
    return task

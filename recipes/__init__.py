"""The training set-ups: one YAML file each, in a folder per task.

This package knows no task. Each function takes the task whose recipes are asked for, of which it
needs the name, the schema and the recipes that the task carries itself (`RecipeOwner`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import ValidationError

from mogabench.errors import UserError, unknown
from mogabench.files import is_file
from mogabench.recipes.files import RecipeFile, parse_override
from mogabench.recipes.schema import Recipe, error_lines, invalid, merge
from mogabench.variants import variant_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Recipe",
    "RecipeOwner",
    "load",
    "names",
    "override",
    "restore",
    "source",
    "task_name",
    "variant_for",
    "variants",
]

_HOME = Path(__file__).parent

R = TypeVar("R", bound=Recipe)
R_co = TypeVar("R_co", bound=Recipe, covariant=True)


class RecipeOwner(Protocol[R_co]):
    """What this package needs to know of a task."""

    @property
    def name(self) -> str:
        """The task's name, which its recipes state and their folder has."""
        ...

    @property
    def Recipe(self) -> type[R_co]:  # noqa: N802  (a class)
        """The schema of its recipes."""
        ...

    @property
    def recipes(self) -> Mapping[str, str]:
        """The text of each recipe that the task carries itself, by name."""
        ...


def names(owner: RecipeOwner[Recipe]) -> list[str]:
    """The names of a task's recipes, in alphabetical order."""
    return sorted([*(file.stem for file in _HOME.glob(f"{owner.name}/*.yaml")), *owner.recipes])


def task_name(name_or_path: str | Path, carried: Mapping[str, str]) -> str | None:
    """The task that a recipe's file belongs to; None where no file has that name.

    Args:
        name_or_path: The recipe's.
        carried: The text of each recipe that a task carries itself, which it may extend.

    Raises:
        UserError: The file cannot be read.
    """
    if _file(name_or_path) is None:
        return None
    return str(_find(carried, name_or_path).settings(None).get("task"))


def source(name_or_path: str | Path, owner: RecipeOwner[Recipe]) -> str:
    """The text of a recipe.

    Raises:
        UserError: There is no such recipe, or its file cannot be read.
    """
    return _read(name_or_path, owner).text


def variants(name_or_path: str | Path, owner: RecipeOwner[Recipe]) -> list[str]:
    """The model sizes that a recipe distinguishes; empty where it is the same for every size.

    Raises:
        UserError: There is no such recipe, or its file cannot be read.
    """
    return _read(name_or_path, owner).variants


def variant_for(backbone: str, name_or_path: str | Path, owner: RecipeOwner[Recipe]) -> str | None:
    """Which of its variants a recipe has for a backbone: a MogaNet's size, or else its own name.

    A tag of timm's, such as ``.in1k``, makes no difference unless a variant has it.

    Raises:
        UserError: There is no such recipe, or its file cannot be read.
    """
    known, untagged = variants(name_or_path, owner), backbone.partition(".")[0]
    own = [name for name in (backbone, untagged) if name in known]
    return variant_of(untagged) or (own[0] if own else None)


def load(
    name_or_path: str | Path,
    owner: RecipeOwner[R],
    *,
    variant: str | None = None,
    overrides: Sequence[str] = (),
) -> R:
    """Resolves a recipe: the file's values, then the variant's, then the overrides.

    Args:
        name_or_path: One of `names`, or a YAML file of the user's own (it ends in ``.yaml`` or
            holds a slash).
        owner: The task that the recipe is for.
        variant: A model size such as ``s``; None takes the values that no size changes, for
            backbones other than MogaNet.
        overrides: ``key=value`` texts such as ``optimizer.lr=5e-4``, the value written in YAML;
            a later one wins. A recipe that they change is no longer the paper's, so its
            ``expected`` goes.

    Raises:
        UserError: There is no such recipe or variant, it is another task's, or settings are wrong;
            one message lists every wrong setting, each on a line.
    """
    file = _read(name_or_path, owner)
    settings = file.settings(variant)
    if settings.get("task") != owner.name:
        raise UserError(
            f"the recipe {file.name} is for the task {settings.get('task')}, not {owner.name}"
        )
    if overrides:
        recipe = _override(settings, overrides, owner.Recipe, file.name)
    else:
        recipe = _validate(settings, owner.Recipe, file.name)
    if file.name in names(owner):  # also where the file is the user's: records name no folder
        settings = _read(file.name, owner).known_settings(variant)
    as_written = _validate(settings, owner.Recipe, file.name)
    return recipe.resolved_as(file.name, variant, _differences(recipe, as_written))


def restore(
    settings: Mapping[str, Any], schema: type[R], name: str, changes: Mapping[str, Any]
) -> R:
    """A recipe from all of its settings, as weights keep them.

    Args:
        settings: As ``model_dump`` gives them.
        schema: The recipe's, which is that of its task.
        name: What it was called.
        changes: Its settings that differ from its file's.

    Raises:
        UserError: The settings are not valid, such as those of another version.
    """
    return _validate(dict(settings), schema, name).resolved_as(name, None, dict(changes))


def override(recipe: R, overrides: Sequence[str]) -> R:
    """A resolved recipe with further settings, ``key=value`` texts as in `load`.

    Raises:
        UserError: They are wrong.
    """
    settings = recipe.model_dump(mode="json")
    changed = _override(settings, overrides, type(recipe), recipe.name)
    changes = recipe.changes | _differences(changed, recipe)
    return changed.resolved_as(recipe.name, recipe.variant, changes)


def _override(
    settings: Mapping[str, Any], overrides: Sequence[str], schema: type[R], name: str
) -> R:
    changed: dict[str, Any] = {**settings, "expected": None}
    problems = []
    for text in overrides:
        try:
            changed = merge(changed, parse_override(text))
        except UserError as error:
            problems.append(str(error))
    return _validate(changed, schema, name, problems)


def _read(name_or_path: str | Path, owner: RecipeOwner[Recipe]) -> RecipeFile:
    if str(name_or_path) not in owner.recipes and _file(name_or_path) is None:
        raise unknown("recipe", str(name_or_path), names(owner))
    return _find(owner.recipes, name_or_path)


def _find(
    carried: Mapping[str, str], name_or_path: str | Path, below: tuple[Path, ...] = ()
) -> RecipeFile:
    """A recipe that a task carries, or else a file; ``below`` are those that extend it."""
    name, find_base = str(name_or_path), partial(_find, carried)
    if name in carried:
        if Path(name) in below:
            raise UserError(f"the recipe {name} extends itself")
        return RecipeFile.parse(name, carried[name], find_base, (*below, Path(name)))
    file = _file(name_or_path)
    if file is None:
        raise unknown("recipe", name, sorted([*carried, *(f.stem for f in _HOME.glob("*/*.yaml"))]))
    return RecipeFile.read(file, find_base, below)


def _file(name_or_path: str | Path) -> Path | None:
    file = Path(name_or_path)
    if file.suffix in {".yaml", ".yml"} or len(file.parts) > 1:
        if not is_file(file):
            raise UserError(f"there is no recipe file {file}")
        return file
    return next((own for own in _HOME.glob("*/*.yaml") if own.stem == file.name), None)


def _validate(
    settings: dict[str, Any], schema: type[R], name: str, problems: Sequence[str] = ()
) -> R:
    found = list(problems)
    try:
        recipe = schema.model_validate(settings)
    except ValidationError as error:
        found.extend(error_lines(error, schema))
    if found:
        raise invalid(name, found)
    return recipe


def _differences(recipe: Recipe, as_written: Recipe) -> dict[str, Any]:
    """The settings of a recipe, but for seed and size, that are not those as it is written."""
    if recipe.size is not None:
        with suppress(UserError):  # where the file's recipe has no such size, that is a change
            as_written = as_written.at_size(recipe.size)
    return recipe.differences(as_written)

"""The paper's training set-ups: one YAML file each, in a folder per task."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from mogabench.errors import UserError, unknown
from mogabench.recipes.classification_schema import ClassificationRecipe
from mogabench.recipes.schema import Recipe
from mogabench.tasks import tasks
from mogabench.variants import variant_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ClassificationRecipe", "Recipe", "load", "names", "path", "variant_for", "variants"]

_HOME = Path(__file__).parent


class _Yaml(yaml.SafeLoader):
    """YAML in which ``1e-3`` is a number, as YAML 1.2 has it; PyYAML reads it as text."""


_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def names(task: str | None = None) -> list[str]:
    """The recipes there are, of one task or of all, in alphabetical order."""
    return sorted(file.stem for file in _HOME.glob(f"{task or '*'}/*.yaml"))


def path(name_or_path: str | Path) -> Path:
    """The file of a recipe.

    Args:
        name_or_path: One of `names`, or a YAML file of the user's own (it ends in ``.yaml`` or
            holds a slash).

    Raises:
        UserError: There is none; the nearest names are suggested.
    """
    file = Path(name_or_path)
    if file.suffix in {".yaml", ".yml"} or len(file.parts) > 1:
        if not file.is_file():
            raise UserError(f"there is no recipe file {file} (by name: {', '.join(names())})")
        return file
    if file.name not in names():
        raise unknown("recipe", file.name, names())
    return next(_HOME.glob(f"*/{file.name}.yaml"))


def variants(name_or_path: str | Path) -> list[str]:
    """The model sizes that a recipe tells apart; empty where it is the same for every size.

    Raises:
        UserError: There is no such recipe, or its file cannot be read.
    """
    return list(_read(path(name_or_path))[1])


def variant_for(backbone: str, name_or_path: str | Path) -> str | None:
    """Which of its variants a recipe has for a backbone: a MogaNet's size, or else its own name.

    Raises:
        UserError: There is no such recipe, or its file cannot be read.
    """
    size = variant_of(backbone)
    return backbone if size is None and backbone in variants(name_or_path) else size


def load(
    name_or_path: str | Path, *, variant: str | None = None, overrides: Sequence[str] = ()
) -> Recipe:
    """Resolves a recipe: the file's values, then the variant's, then the overrides.

    Args:
        name_or_path: As for `path`.
        variant: A model size such as ``s``; None takes the values that no size changes, for
            backbones other than MogaNet.
        overrides: ``key=value`` texts such as ``optimizer.lr=5e-4``, the value written in YAML;
            a later one wins. What they change is no longer what the paper prints, so the
            recipe's ``expected`` goes.

    Raises:
        UserError: There is no such recipe or variant, or settings are wrong; one message tells
            every wrong setting, each on a line.
    """
    file = path(name_or_path)
    settings, by_variant = _read(file)
    if variant is not None and by_variant:
        if variant not in by_variant:
            raise UserError(f"the recipe {file.stem} is for {', '.join(by_variant)}, not {variant}")
        settings = _merged(settings, by_variant[variant])
    if overrides:
        settings["expected"] = None
    problems = []
    for text in overrides:
        try:
            settings = _merged(settings, _parsed(text))
        except UserError as error:
            problems.append(str(error))
    task = str(settings.get("task"))
    if task not in tasks():
        raise UserError(f"the recipe {file.stem}: {unknown('task', task, tasks())}")
    schema = tasks()[task].recipe_schema
    try:
        recipe = schema.model_validate(settings)
    except ValidationError as error:
        problems.extend(_told(error, schema))
    if problems:
        raise UserError("\n  ".join([f"the recipe {file.stem} is not valid:", *problems]))
    recipe.resolved_as(file.stem, variant)
    return recipe


def _read(file: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The settings for every size, and what differs by size."""
    try:
        settings = yaml.load(file.read_text(encoding="utf-8"), _Yaml)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read the recipe {file}: {' '.join(str(error).split())}") from None
    if not isinstance(settings, dict):
        raise UserError(f"the recipe {file} is not a mapping of settings")
    by_variant = settings.pop("variants", {})
    if not isinstance(by_variant, dict) or not all(
        isinstance(change, dict) for change in by_variant.values()
    ):
        raise UserError(f"the recipe {file}: variants should name sizes, each with a section")
    return settings, by_variant


def _parsed(override: str) -> dict[str, Any]:
    """``a.b=1`` as ``{"a": {"b": 1}}``."""
    key, equals, text = override.partition("=")
    if not (key and equals):
        raise UserError(f"'{override}' is not a setting such as optimizer.lr=5e-4")
    *sections, name = key.strip().split(".")
    try:
        settings = {name: yaml.load(text, _Yaml)}
    except yaml.YAMLError:
        raise UserError(f"'{override}': the value is not valid YAML") from None
    for section in reversed(sections):
        settings = {section: settings}
    return settings


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the change's leaves in place of its own; a null replaces a whole section."""
    merged = dict(base)
    for key, new in change.items():
        old = merged.get(key)
        merged[key] = _merged(old, new) if isinstance(old, dict) and isinstance(new, dict) else new
    return merged


def _told(error: ValidationError, schema: type[BaseModel]) -> Iterator[str]:
    """Each problem as a line: where, what, and what would be right."""
    for problem in error.errors():
        where = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            yield str(unknown("key", where, _keys_beside(problem["loc"], schema)))
        elif problem["type"] == "model_type":
            keys = ", ".join(_keys_beside((*problem["loc"], ""), schema))
            yield f"{where}: should be a section, with the keys {keys}"
        elif problem["type"] == "missing":
            yield f"{where} is missing"
        elif problem["type"] == "value_error":
            # What several sections have to agree on has no place of its own.
            yield f"{where}: {problem['ctx']['error']}".removeprefix(": ")
        else:
            said = problem["msg"].removeprefix("Input ")
            yield f"{where}: {said} (got {json.dumps(problem['input'], default=str)})"


def _keys_beside(location: tuple[int | str, ...], schema: type[BaseModel]) -> list[str]:
    """The keys, written in full, that are valid in the section where the location lies."""
    for name in location[:-1]:
        annotation = schema.model_fields[str(name)].annotation
        schema = next(
            kind
            for kind in (annotation, *get_args(annotation))
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        )
    return [".".join(map(str, (*location[:-1], key))) for key in schema.model_fields]

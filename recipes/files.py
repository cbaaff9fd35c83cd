"""Recipes as they are written: YAML files, which may extend each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError
from mogabench.files import is_file, read_regular
from mogabench.recipes.schema import merge, nest
from mogabench.yaml_text import YamlError, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    FindBase = Callable[[str, tuple[Path, ...]], "RecipeFile"]

_MOST_SECTIONS = 8


@dataclass(frozen=True)
class RecipeFile:
    """A recipe before it is resolved.

    Attributes:
        name: The file's name without its ending.
        text: What is written in it.
        own: Its settings for every model size.
        by_variant: What differs, by model size.
        base: The recipe that it extends.
    """

    name: str
    text: str
    own: Mapping[str, Any]
    by_variant: Mapping[str, Mapping[str, Any]]
    base: RecipeFile | None = None

    @classmethod
    def read(
        cls,
        file: Path,
        find_base: FindBase,
        below: tuple[Path, ...] = (),
    ) -> RecipeFile:
        """Reads a YAML file.

        Args:
            file: The file.
            find_base: Reads a recipe that this one extends, by name or path and what is below it.
            below: The files that extend this one; of a recipe without a file, its name.

        Raises:
            UserError: It cannot be read, is no mapping, or extends itself.
        """
        if file.resolve() in below:
            raise UserError(f"the recipe {file} extends itself")
        try:
            text = read_regular(file).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"cannot read the recipe {file}: {' '.join(str(error).split())}"
            ) from None
        return cls.parse(file.stem, text, find_base, (*below, file.resolve()))

    @classmethod
    def parse(
        cls,
        name: str,
        text: str,
        find_base: FindBase,
        below: tuple[Path, ...] = (),
    ) -> RecipeFile:
        """Reads YAML from a text; the arguments are those of `read`."""
        try:
            settings = parse_yaml(text)
        except YamlError as error:
            raise UserError(f"cannot read the recipe {name}: {error}") from None
        if not isinstance(settings, dict):
            raise UserError(f"the recipe {name} is not a mapping of settings")
        by_variant = settings.pop("variants", {})
        if not isinstance(by_variant, dict) or not all(
            isinstance(change, dict) for change in by_variant.values()
        ):
            raise UserError(f"the recipe {name}: variants should name sizes, each with a section")
        base = settings.pop("extends", None)
        if base is None:
            return cls(name, text, settings, by_variant)
        beside = below[-1].parent / str(base) if below else Path(str(base))
        is_beside = is_file(beside)
        found = cls.read(beside, find_base, below) if is_beside else find_base(str(base), below)
        # What the paper prints for the base is not to be expected of a recipe that differs.
        own = {"expected": None, "title": name, **settings}
        return cls(name, text, own, by_variant, found)

    @property
    def variants(self) -> list[str]:
        """The model sizes that it distinguishes; empty where it is the same for every size."""
        return list(dict.fromkeys([*(self.base.variants if self.base else ()), *self.by_variant]))

    def settings(self, variant: str | None) -> dict[str, Any]:
        """The settings for a model size: those of the base, then its own.

        Raises:
            UserError: The recipe is not for that size.
        """
        if variant is not None and self.variants and variant not in self.variants:
            raise UserError(
                f"the recipe {self.name} is for {', '.join(self.variants)}, not {variant}"
            )
        settings = merge(self.base.known_settings(variant) if self.base else {}, self.own)
        return merge(settings, self.by_variant.get(variant or "", {}))

    def known_settings(self, variant: str | None) -> dict[str, Any]:
        """The settings for a model size, or for every one where the recipe is not for that size."""
        return self.settings(variant if variant in self.variants else None)


def parse_override(override: str) -> dict[str, Any]:
    """``a.b=1`` as ``{"a": {"b": 1}}``.

    Raises:
        UserError: It is not such a text, or its value no YAML.
    """
    key, equals, text = override.partition("=")
    if not (key and equals):
        raise UserError(f"'{override}' is not a setting such as optimizer.lr=5e-4")
    sections = key.count(".")
    try:
        value = parse_yaml(text)
    except YamlError:
        raise UserError(f"'{override}': the value is not valid YAML") from None
    if sections > _MOST_SECTIONS:
        raise UserError(f"'{override[:40]}…' has {sections} sections; recipes have fewer")
    return nest(key.strip(), value)

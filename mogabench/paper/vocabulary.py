"""What the heads of the printed columns mean, read from ``vocabulary.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mogabench.errors import unknown
from mogabench.paper.meta import parse_meta

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML was built with it: about eight times as fast."""


@dataclass(frozen=True)
class Column:
    """A printed column.

    Attributes:
        head: The head as printed, ``Group: Column`` where it has two levels.
        metric: What its numbers are: a task's metric, ``params``, ``operations`` or ``fps``; None
            for a descriptive column.
        unit: The unit of the printed numbers; None where it is the metric's own.
        overrides: Fields of the rows' `Meta` that are different for this column's cells.
        options: Keyword arguments of the backbone, added to the row's.
        settings: Settings of the recipe, added to the row's.
        backbones: The backbone of a cell by its row's, where the two are different.
        size_column: The head of the column that holds the cells' input size; None for the row's.
    """

    head: str
    metric: str | None = None
    unit: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    backbones: Mapping[str, str] = field(default_factory=dict)
    size_column: str | None = None


def column_of(head: str) -> Column:
    """Looks a printed head up.

    Raises:
        UserError: The vocabulary has neither the head nor its parts.
    """
    words = _vocabulary()
    group, _, name = ("", "", head) if head in words["columns"] else head.rpartition(": ")
    if group and group not in words["groups"]:
        raise unknown("group of columns", group, words["groups"])
    if name not in words["columns"] and name not in words["descriptive"]:
        raise unknown("column", head, [*words["columns"], *words["descriptive"]])
    meaning = words["groups"].get(group, {}) | words["columns"].get(name, {})
    return Column(head, **meaning | {"overrides": parse_meta(meaning.get("overrides", {}))})


def read_yaml(name: str) -> Any:
    """Reads a YAML file of this folder."""
    return yaml.load((Path(__file__).parent / name).read_text("utf-8"), Loader=_LOADER)


@cache
def _vocabulary() -> dict[str, Any]:
    words: dict[str, Any] = read_yaml("vocabulary.yaml")
    return words

"""What the heads of the printed columns mean, read from ``vocabulary.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mogabench.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML was built with it: about eight times as fast."""


@dataclass(frozen=True)
class Column:
    """A printed column.

    Attributes:
        head: The head as printed, ``Group: Column`` where it has two levels.
        metric: What its numbers are, such as ``params``; None for a descriptive column.
        unit: The unit of the printed numbers.
        higher_is_better: Which way is better; None for a descriptive column.
        overrides: What the column says about a row's subject or recipe beyond the row's own meta.
    """

    head: str
    metric: str | None = None
    unit: str = ""
    higher_is_better: bool | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)


def column_of(head: str) -> Column:
    """Looks a printed head up.

    Raises:
        UserError: The vocabulary has neither the head nor its parts.
    """
    words = _vocabulary()
    group, _, name = ("", "", head) if head in words["columns"] else head.rpartition(": ")
    if group and group not in words["groups"]:
        raise unknown("group of columns", group, words["groups"])
    overrides = words["groups"].get(group, {})
    if name in words["descriptive"]:
        return Column(head, overrides=overrides)
    if name not in words["columns"]:
        raise unknown("column", head, [*words["columns"], *words["descriptive"]])
    column = words["columns"][name]
    meaning = words["metrics"][column["metric"]] | column
    return Column(
        head,
        metric=meaning["metric"],
        unit=meaning["unit"],
        higher_is_better=meaning["higher_is_better"],
        overrides=overrides | column.get("overrides", {}),
    )


def read_yaml(name: str) -> Any:
    """Reads a YAML file of this folder."""
    return yaml.load((Path(__file__).parent / name).read_text("utf-8"), Loader=_LOADER)


@cache
def _vocabulary() -> dict[str, Any]:
    words: dict[str, Any] = read_yaml("vocabulary.yaml")
    return words

"""What the rows and cells of the printed tables are about."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from mogabench.paper.numbers import printed_size

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Meta:
    """What a row or a cell is about; a field is empty where a row leaves it to its columns.

    Attributes:
        task: A task's name; empty where the row names no network.
        method: One of the task's methods.
        backbone: A timm name, or for video the name of SimVP's translator.
        input_size: ``(H, W)``, or ``(T, C, H, W)`` for video, in pixels.
        pretraining: Where training started from: ``none``, ``in1k`` or ``in21k``.
        recipe: The training set-up; empty where this project does not have it.
        settings: Settings of the recipe that are different, such as ``{"ema": null}``.
        options: Keyword arguments of the backbone.
        baseline: Keyword arguments of the backbone that the row's figures are differences from;
            None where they are figures of the backbone itself.
    """

    task: str = ""
    method: str = ""
    backbone: str = ""
    input_size: tuple[int, ...] = ()
    pretraining: str = ""
    recipe: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    baseline: Mapping[str, Any] | None = None


META = tuple(field.name for field in fields(Meta))
"""The first columns of every table's file, in order; all others are printed ones."""


def parse_meta(texts: Mapping[str, str]) -> dict[str, Any]:
    """Reads fields of `Meta` from the texts of a data file.

    Raises:
        ValueError: There is no such field, or a text is no value of its field.
    """
    unknown = texts.keys() - set(META)
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: not one of {', '.join(META)}")
    values: dict[str, Any] = dict(texts)
    if "input_size" in texts:
        values["input_size"] = printed_size(texts["input_size"])
    for name in ("settings", "options"):
        if name in texts:
            values[name] = json.loads(texts[name] or "{}")
    if "baseline" in texts:
        values["baseline"] = json.loads(texts["baseline"]) if texts["baseline"] else None
    return values

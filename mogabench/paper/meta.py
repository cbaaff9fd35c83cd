"""What the rows and cells of the printed tables are about."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from mogabench.errors import unknown
from mogabench.paper.numbers import printed_size
from mogabench.pretraining import PRETRAININGS

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
        pretraining: What training started from: ``none``, ``in1k`` or ``in21k``; empty where the
            paper does not say.
        recipe: The training set-up; empty where this project does not have it.
        settings: Settings of the recipe that are different, such as ``{"ema": null}``.
        options: Keyword arguments of the backbone.
        baseline: Keyword arguments of the backbone that the row's figures are differences from;
            None where they are figures of the backbone itself.
        dataset: What its qualities were measured on; empty for the task's own data set.
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
    dataset: str = ""


META = tuple(field.name for field in fields(Meta))
"""The first columns of a table's file have these names; all others are printed ones."""

_MAPPINGS = ("settings", "options", "baseline")


def parse_meta(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Reads fields of `Meta` from the values of a data file.

    Raises:
        ValueError: There is no such field, or a text is no value of its field.
    """
    others = texts.keys() - set(META)
    if others:
        raise ValueError(f"{', '.join(sorted(others))}: not one of {', '.join(META)}")
    found = {name: parse_field(name, text) for name, text in texts.items()}
    if found.get("input_size") == ():
        raise ValueError("input_size: must be a size such as 224x224")
    return found


def parse_field(name: str, written: Any) -> Any:
    """Reads one field of `Meta`: from a text, or a mapping where YAML has one.

    Raises:
        ValueError: The text is no value of that field.
    """
    text = "" if written is None else str(written)
    if name == "input_size":
        return printed_size(text)
    if name == "pretraining" and text not in ("", *PRETRAININGS):
        raise ValueError(str(unknown(name, text, PRETRAININGS)))
    if name not in _MAPPINGS:
        return text
    if not text:
        return None if name == "baseline" else {}
    value = written if isinstance(written, dict) else _json_object(text)
    for key, entry in value.items():
        (_check_setting if name == "settings" else _check_option)(str(key), entry)
    return value


def _check_setting(key: str, value: Any) -> None:
    if isinstance(value, dict):  # records name what was changed by its whole key
        inner = next(iter(value), "NAME")
        raise ValueError(f"'{key}' is a section: write its settings apart, as '{key}.{inner}'")


def _check_option(key: str, value: Any) -> None:
    if not key.isidentifier():
        raise ValueError(f"{json.dumps(key)} is not the name of an option")
    if not _is_option(value):
        raise ValueError(
            f"'{key}' must be a text, a number, true, false or a list of numbers, not "
            f"{json.dumps(value)}"
        )


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"'{text}' is not JSON: {error.msg}") from None
    if not isinstance(value, dict):
        raise ValueError(f"'{text}' must be a JSON object, such as {{\"name\": 1}}")
    return value


def _is_option(value: Any) -> bool:
    """Whether a value is one that `mogabench.subject.Subject` takes for an option."""
    if isinstance(value, list):
        return all(map(_is_number, value))
    return isinstance(value, str) or _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < math.inf  # which NaN is not

"""The authors' released weights: which file belongs to what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mogabench.errors import UserError, unknown
from mogabench.subject import changes_for_weights

if TYPE_CHECKING:
    from mogabench.subject import Subject

_LIST = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class Release:
    """A published file.

    Attributes:
        name: The file's name.
        urls: Where it lies; the first that answers is taken.
        page: What a person would look at.
        recipe: How its weights were trained.
        bytes: Its size, where the authors state it.
        sha256: Its digest, where the authors state it.
        input_size: What they are for; empty where any size will do.
    """

    name: str
    urls: tuple[str, ...]
    page: str
    recipe: str
    bytes: int | None = None
    sha256: str | None = None
    input_size: tuple[int, ...] = ()


def official_weights(subject: Subject, recipe: str | None = None) -> Release:
    """The authors' release for a subject.

    Args:
        subject: What the weights are for.
        recipe: How they must have been trained; None takes the first release there is.

    Raises:
        UserError: Nothing was released for that network with its options, at that size or by that
            recipe.
    """
    wanted = {"task": subject.task, "method": subject.method}
    entries = [item for item in _entries() if wanted.items() <= item.items()]
    if recipe is not None:
        entries = [item for item in entries if item["recipe"] == recipe]
    of_backbone = [item for item in entries if subject.backbone in item["files"]]
    if not of_backbone:
        released = {name: None for item in entries for name in item["files"]}
        trained = f" trained by {recipe}" if recipe else ""
        raise unknown(f"backbone with official weights{trained}", subject.backbone, released)
    of_size = [
        item
        for item in of_backbone
        if tuple(item.get("input_size", subject.input_size)) == subject.input_size
    ]
    options, changes = dict(subject.options), ""
    for item in of_size:
        released = item.get("options", {})
        changes = changes_for_weights(released, options)
        if released.items() <= options.items() and not changes:
            return _release(item, subject.backbone)
    if changes:
        raise UserError(
            f"{subject.backbone} was released with other options: {changes}, or pass --weights FILE"
        )
    named = ["x".join(map(str, item.get("input_size", ()))) for item in of_backbone]
    sizes = " and ".join(dict.fromkeys(named))
    raise UserError(
        f"{subject.backbone} was released at {sizes} pixels, not at "
        f"{'x'.join(map(str, subject.input_size))}; choose that size, or pass --weights FILE"
    )


@dataclass(frozen=True)
class Listed:
    """A released file with what it is for.

    ``options`` are the keyword arguments of the network, by name.
    """

    task: str
    method: str
    backbone: str
    options: dict[str, Any]
    release: Release


def is_released(subject: Subject, recipe: str) -> bool:
    """Whether the authors released weights of that network, size, options and recipe."""
    return any(
        (item["task"], item["method"], item["recipe"]) == (subject.task, subject.method, recipe)
        and subject.backbone in item["files"]
        and tuple(item.get("input_size", subject.input_size)) == subject.input_size
        and item.get("options", {}) == dict(subject.options)
        for item in _entries()
    )


def listed_weights() -> list[Listed]:
    """Every released file, in the list's order."""
    return [
        Listed(
            item["task"],
            item["method"],
            backbone,
            item.get("options", {}),
            _release(item, backbone),
        )
        for item in _entries()
        for backbone in item["files"]
    ]


def _release(item: dict[str, Any], backbone: str) -> Release:
    file = item["files"][backbone]
    about = {"name": file} if isinstance(file, str) else file
    urls = tuple(f"{page.replace('/tag/', '/download/')}/{about['name']}" for page in item["pages"])
    return Release(
        **about,
        urls=urls,
        page=item["pages"][0],
        recipe=item["recipe"],
        input_size=tuple(item.get("input_size", ())),
    )


@cache
def _entries() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = yaml.safe_load(_LIST.read_text(encoding="utf-8"))
    return entries

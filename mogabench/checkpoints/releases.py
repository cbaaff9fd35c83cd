"""The authors' released weights: which file belongs to what."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mogabench.checkpoints.download import Release, fetch
from mogabench.errors import UserError, unknown

if TYPE_CHECKING:
    from mogabench.subject import Subject

_LIST = Path(__file__).with_suffix(".yaml")


_BACKBONE = {"task": "classification", "method": "classifier", "input_size": (224, 224)}
"""What the weights that a training begins with were trained for."""


def resolve_weights(
    spec: str,
    subject: Subject,
    recipe: str | None = None,
    *,
    train: bool = False,
    progress: bool = True,
) -> Path:
    """The file behind ``--weights``: ``official``, downloaded where needed, or a path.

    Args:
        spec: ``official`` or a path.
        subject: What is to be evaluated or trained.
        recipe: How the official weights must have been trained; None takes any.
        train: A training begins with the classifier's weights, by whatever recipe.
        progress: Whether to show the download's progress.

    Raises:
        UserError: There is no such file, no such release, or its download failed.
    """
    if spec == "official":
        if train and subject.task != _BACKBONE["task"]:
            subject = subject.model_copy(update={**_BACKBONE, "options": ()})
        release = official_weights(subject, None if train else recipe)
        return fetch(release, progress=progress)
    path = Path(spec).expanduser()
    if not path.is_file():
        raise UserError(f"there is no file '{spec}'; --weights takes a file or 'official'")
    return path


def official_weights(subject: Subject, recipe: str | None = None) -> Release:
    """The authors' release for a subject.

    Args:
        subject: What the weights are for.
        recipe: How they must have been trained; None takes the first release there is.

    Raises:
        UserError: Nothing was released for that network, at that size or by that recipe.
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
    for item in of_backbone:
        size = item.get("input_size", subject.input_size)
        options = item.get("options", {}).items()
        if tuple(size) == subject.input_size and options <= dict(subject.options).items():
            name = item["files"][subject.backbone]
            files = item["page"].replace("/tag/", "/download/")
            return Release(name, f"{files}/{name}", item["page"], item["recipe"])
    sizes = " and ".join("x".join(map(str, item.get("input_size", ()))) for item in of_backbone)
    raise UserError(
        f"{subject.backbone} was released at {sizes} pixels, not at "
        f"{'x'.join(map(str, subject.input_size))}; choose that size, or pass --weights FILE"
    )


@cache
def _entries() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = yaml.safe_load(_LIST.read_text(encoding="utf-8"))
    return entries

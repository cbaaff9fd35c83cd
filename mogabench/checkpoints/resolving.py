"""What ``--weights`` names: the authors' released file for a network, or one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.checkpoints.description import Description
from mogabench.checkpoints.download import fetch
from mogabench.errors import UserError
from mogabench.files import expanded
from mogabench.releases import official_weights

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.subject import Subject

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
            subject = subject.model_copy(update=_BACKBONE)
        release = official_weights(subject, None if train else recipe)
        return fetch(release, progress=progress)
    return find_file(spec)


def read_stated(spec: str | None, task: str | None = None) -> Description | None:
    """What the file of weights at a path says of itself; None where it says nothing.

    Args:
        spec: A path; nothing is read for ``official`` and None.
        task: What the weights must be of; None for any.

    Raises:
        UserError: The file cannot be read, or is of another task.
    """
    if spec in (None, "official"):
        return None
    stated = Description.of(find_file(spec))
    if stated is not None and task is not None:
        stated.check_task(spec, task)
    return stated


def find_file(spec: str) -> Path:
    """The file of weights at a path.

    Raises:
        UserError: There is none.
    """
    path = expanded(spec)
    if not path.is_file():
        raise UserError(f"there is no file '{spec}'; --weights takes a file or 'official'")
    return path

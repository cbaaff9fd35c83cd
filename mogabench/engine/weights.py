"""The weights that a job starts from, loaded into its network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mogabench.checkpoints import Description, load_into
from mogabench.errors import UserError
from mogabench.recipes import names
from mogabench.recipes.schema import training_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from mogabench.engine.job import Job
    from mogabench.engine.task import Task
    from mogabench.recipes import Recipe


def load_job_weights(
    job: Job[Any, Any], network: nn.Module, *, backbone: str = "", classes: tuple[str, ...] = ()
) -> list[str]:
    """Loads a job's weights, if it has any.

    To evaluate, they must be those of the whole network. A training may also begin with a whole
    network, whose head may be replaced with ``new_head``, or with the backbone alone, such as a
    classifier.

    Args:
        job: Names the file.
        network: The task's network; left as it was if anything does not fit.
        backbone: The name within it of the timm network; empty where it is one itself.
        classes: Of the data, which must be those that a file states; empty where there are none.

    Returns:
        What was taken, left out and repaired, a line for each kind, for `Setup.notes`.

    Raises:
        UserError: The file cannot be read, its weights do not fit, or those to evaluate are not
            what the job calls them: trained by its recipe, and averaged or not.
    """
    if job.weights is None:
        return []
    report = load_into(
        network,
        job.weights,
        job.subject,
        backbone=backbone,
        train=job.train,
        prefer_ema=job.ema,
        new_head=job.new_head,
        classes=classes,
    )
    stated = report.stated
    if not job.train:
        if stated is not None and stated.recipe and job.recipe is not None:
            _check_recipe(job.weights, stated, job.recipe)
        _check_average(job, stated, has_both=report.has_both)
    lines = list(report.notes)
    if report.ignored:
        lines.append(f"{len(report.ignored)} tensors were left out, such as {report.ignored[0]}")
    return [f"{job.weights.name}: {line}" for line in lines]


def stated_recipe(task: Task[Any, Any], stated: Description) -> tuple[str | None, list[str]]:
    """The recipe that weights state and its changed settings, as ``key=value`` texts.

    Returns:
        No recipe where it is none of the task's, as a file of the user's own.
    """
    if stated.recipe not in names(task):
        return None, []
    changes = stated.recipe_changes.items()
    return stated.recipe, [f"{key}={json.dumps(value)}" for key, value in changes]


def stated_classes(job: Job[Any, Any]) -> tuple[str, ...]:
    """The classes that a job's weights state, for data that has none; empty where they do not.

    Raises:
        UserError: The file cannot be read.
    """
    stated = Description.of(job.weights) if job.weights is not None else None
    return stated.classes if stated is not None else ()


def _check_average(job: Job[Any, Any], stated: Description | None, *, has_both: bool) -> None:
    """Refuses to call weights not averaged where nothing says so."""
    without_average = stated is not None and job.recipe is not None and job.recipe.ema is None
    if not (job.ema or has_both or without_average):
        raise UserError(
            f"{job.weights} holds one set of weights, not averaged and other ones: leave out "
            "--no-ema"
        )


def _check_recipe(file: Path, stated: Description, recipe: Recipe) -> None:
    """Refuses weights that were trained by another recipe than their record would name."""
    own, given = training_settings(stated.recipe_changes), training_settings(recipe.changes)
    if (stated.recipe, own) != (recipe.name, given):
        raise UserError(
            f"{file} was trained by {_words(stated.recipe, own)}, not by "
            f"{_words(recipe.name, given)}: give what it was trained by"
        )


def _words(recipe: str, changes: Mapping[str, Any]) -> str:
    settings = [f"--set {key}={json.dumps(value)}" for key, value in changes.items()]
    return " ".join([f"--recipe {recipe}", *settings])

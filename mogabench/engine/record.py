"""The record of a job's quality, with the provenance that only the job knows."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import torch

from mogabench.measure.device import device_name, driver_version
from mogabench.recipes import load, names
from mogabench.records import CHANGED, Kind, Quantity, Record, provenance

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.engine.job import Job
    from mogabench.engine.launch import Outcome
    from mogabench.recipes import Recipe
    from mogabench.tasks import Task


def quality_record(task: Task, job: Job, outcome: Outcome) -> Record:
    """What the job measured, as a record for the store."""
    units = {metric.name: metric.unit for metric in task.metrics}
    values = {name: Quantity(value=v, unit=units[name]) for name, v in outcome.metrics.items()}
    weights = outcome.checkpoint or job.weights
    return Record(
        subject=job.subject,
        kind=Kind.QUALITY,
        values=values,
        notes=outcome.notes,
        provenance=provenance(
            device=device_name(job.device),
            driver=driver_version(job.device),
            threads=torch.get_num_threads(),
            amp=job.amp,
            channels_last=job.channels_last,
            compiled=job.compile,
            batch_size=job.batch_size,
            seed=job.seed,
            recipe=job.recipe and recipe_label(job.recipe),
            recipe_digest=job.recipe and job.recipe.digest,
            weights=weights and _sha256(weights),
            initial_weights=_sha256(job.weights) if job.train and job.weights else None,
            training=outcome.training,
            data=outcome.data,
            started=datetime.now(UTC) - timedelta(seconds=outcome.seconds),
            seconds=outcome.seconds,
        ),
    )


def recipe_label(recipe: Recipe) -> str:
    """The recipe's name, marked where its settings are not the file's own.

    Seed and image size may differ: the record tells the one, its subject the other.
    """
    if recipe.name not in names():
        return recipe.name
    same = [f"seed={recipe.seed}"]
    if recipe.test_size is not None:
        same += load(recipe.name, variant=recipe.variant).size_settings(recipe.test_size)
    own = load(recipe.name, variant=recipe.variant, overrides=same)
    return recipe.name if own.digest == recipe.digest else recipe.name + CHANGED


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

"""The record of a job's quality, with the provenance that only the job knows."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import torch

from mogabench.measure.device import device_name
from mogabench.recipes import load, names
from mogabench.records import Kind, Quantity, Record, provenance

if TYPE_CHECKING:
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
            threads=torch.get_num_threads(),
            amp=job.amp,
            channels_last=job.channels_last,
            batch_size=job.batch_size,
            seed=job.seed,
            recipe=job.recipe and recipe_label(job.recipe),
            recipe_digest=job.recipe and job.recipe.digest,
            weights=weights and hashlib.sha256(weights.read_bytes()).hexdigest(),
            data=outcome.data,
            started=datetime.now(UTC) - timedelta(seconds=outcome.seconds),
            seconds=outcome.seconds,
        ),
    )


def recipe_label(recipe: Recipe) -> str:
    """The recipe's name, marked where its settings are not the file's own; the seed may differ."""
    if recipe.name not in names():
        return recipe.name
    own = load(recipe.name, variant=recipe.variant, overrides=[f"seed={recipe.seed}"])
    return recipe.name if own.digest == recipe.digest else f"{recipe.name} (changed)"

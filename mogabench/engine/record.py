"""The record of a job's metrics, with the job's provenance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import torch

from mogabench.files import sha256
from mogabench.machine import device_name, driver_version
from mogabench.records import Kind, Quantity, Record, provenance

if TYPE_CHECKING:
    from mogabench.engine.job import Job
    from mogabench.engine.run import Outcome
    from mogabench.engine.task import Task


def quality_record(task: Task[Any, Any], job: Job[Any, Any], outcome: Outcome) -> Record:
    """What the job measured, as a record for the store."""
    units = {metric.name: metric.unit for metric in task.metrics}
    values = {name: Quantity(value=v, unit=units[name]) for name, v in outcome.metrics.items()}
    recipe, start = outcome.recipe, outcome.start
    changes = dict(recipe.changes) if recipe else {}
    if not (job.train or job.ema):
        changes["ema"] = None  # also where no recipe has an average that could be changed
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
            runtime=None if job.runtime == "torch" else job.runtime,
            channels_last=job.channels_last,
            compiled=job.compile,
            batch_size=outcome.batch_size,
            seed=job.seed,
            evaluated_size=outcome.size,
            recipe=recipe and recipe.name,
            recipe_changes=changes or None,
            recipe_digest=recipe and recipe.digest,
            weights=sha256(outcome.checkpoint) if outcome.checkpoint else start.digest,
            initial_weights=start.digest if job.train else None,
            pretraining=start.pretraining,
            training=outcome.training,
            trained_on=None if job.train else start.data,
            data=outcome.data,
            started=datetime.now(UTC) - timedelta(seconds=outcome.seconds),
            seconds=outcome.seconds,
        ),
    )

"""All that is measured of one network: its row of a table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from mogabench.engine.environment import choose_device
from mogabench.engine.record import quality_record
from mogabench.engine.run import run
from mogabench.measure.quick import count, time_briefly
from mogabench.tables.trainings import keep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mogabench.engine.job import Job
    from mogabench.engine.task import Task
    from mogabench.records import Record, Store
    from mogabench.subject import Subject


class Row(NamedTuple):
    """What is known of a subject, from this run or an earlier one; ``by_class`` only from this."""

    subject: Subject
    store: Store
    complexity: Record
    quality: Record | None
    throughput: Record | None
    by_class: Mapping[str, Mapping[str, float]] = {}


def measure_row(
    task: Task[Any, Any],
    subject: Subject,
    job: Job[Any, Any] | None,
    store: Store,
    *,
    timed_on: str | None,
    packages: Sequence[str],
) -> Row | None:
    """Counts, trains or evaluates, and times a network; stores each record at once.

    Args:
        task: The subject's task.
        subject: The network.
        job: The training or evaluation; None for none.
        store: Where the records go.
        timed_on: The device to time it on; None leaves that out.
        packages: What the processes that count and time have to import.

    Returns:
        None in all but the first of the processes that torchrun started: they take part in the
        job, and the first one measures the rest and stores.

    Raises:
        UserError: Something that the user gave does not fit.
    """
    is_first = int(os.environ.get("RANK", "0")) == 0
    complexity = count(subject, store, packages) if is_first else None
    outcome = None if job is None else run(job, task)
    if complexity is None:
        return None
    quality = timed = None
    if job is not None and outcome is not None and outcome.metrics:
        quality = quality_record(task, job, outcome)
        store.append(quality)
        if job.train and job.work_dir is not None:
            keep(quality, job.work_dir, store.results)
    if timed_on is not None:
        on_gpu = choose_device(timed_on).startswith("cuda")
        timed = time_briefly(subject, store, "cuda" if on_gpu else "cpu", packages)
    by_class = outcome.by_class if outcome is not None else {}
    return Row(subject, store, complexity, quality, timed, by_class)

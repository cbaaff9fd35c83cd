"""All that is measured of one network: its row of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mogabench.engine.environment import choose_device
from mogabench.engine.launch import rank
from mogabench.engine.record import quality_record
from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.measure.quick import count, time_briefly
from mogabench.tables.trainings import keep
from mogabench.tasks import get_task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mogabench.engine.job import Job
    from mogabench.engine.run import Outcome
    from mogabench.engine.task import Task
    from mogabench.measure.settings import Device
    from mogabench.records import Record, Store
    from mogabench.subject import Subject


class Row(NamedTuple):
    """What is known of a subject, from this run or an earlier one; ``by_class`` only from this.

    ``complexity`` and ``throughput`` are of the network as recipe and data build it, such as with
    the classes of data of one's own.
    """

    subject: Subject
    store: Store
    complexity: Record
    quality: Record | None
    throughput: Record | None
    by_class: Mapping[str, Mapping[str, float]] = {}

    @property
    def is_of_own_data(self) -> bool:
        """Whether the quality is of other data than the paper's, whose tables then say nothing."""
        if self.quality is None or self.quality.provenance.data is None:
            return False
        return self.quality.provenance.data.name != _papers_data(self.subject)


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
        None in all but the first of several processes: they take part in the job, and the first one
        measures the rest and stores.

    Raises:
        UserError: Something that the user gave does not fit.
    """
    timing_device = None if timed_on is None else _timing_device(timed_on)
    complexity = count([subject], store, packages)[0] if rank() == 0 else None
    outcome = None if job is None else run(job, task)
    if complexity is None:
        return None
    quality = timed = None
    if job is not None and outcome is not None and outcome.metrics:
        quality = quality_record(task, job, outcome)
        store.append(quality)
        if job.train and job.work_dir is not None:
            keep(quality, job.work_dir, store.results)
    built = subject if outcome is None else _as_built(subject, outcome)
    if built != subject:
        [complexity] = count([built], store, packages)
    if timing_device is not None:
        timed = time_briefly(built, store, timing_device, packages)
    by_class = outcome.by_class if outcome is not None else {}
    return Row(subject, store, complexity, quality, timed, by_class)


def _timing_device(name: str) -> Device:
    """What a device is called by timings, which are made on the CPU or on the first GPU.

    Raises:
        UserError: It is another GPU, or is not there.
    """
    kind, _, index = choose_device(name).partition(":")
    if int(index or 0):
        raise UserError(
            "timings are made on the first GPU: choose another one by CUDA_VISIBLE_DEVICES, not "
            f"by --device {name}"
        )
    return "cuda" if kind == "cuda" else "cpu"


def _papers_data(subject: Subject) -> str:
    """The data that the paper's tables have the subject's qualities on; empty where nothing is."""
    return get_task(subject.task).data_of(subject)


def _as_built(subject: Subject, outcome: Outcome) -> Subject:
    """The subject with the options that data and recipe build its network with.

    On the paper's data the number of classes is the subject's own.
    """
    options = dict(outcome.options)
    if outcome.data.name == _papers_data(subject):
        options.pop("num_classes", None)
    changed = subject.model_dump() | {"options": options | dict(subject.options)}
    return type(subject).model_validate(changed)

"""What a paper shows timings of, and which timings its columns show."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mogabench.measure.trust import is_rough
from mogabench.paper import TIMED, cell_subject, paper_figures
from mogabench.records import Kind
from mogabench.tables.measurable import is_buildable
from mogabench.tasks import make_subject

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from datetime import datetime

    from mogabench.engine.task import Task
    from mogabench.paper import Column, Paper, PaperTable
    from mogabench.records import Record, Store
    from mogabench.subject import Subject

PLAIN_RUN: dict[str, Any] = {
    "runtime": None,
    "dtype": "float32",
    "compiled": False,
    "channels_last": False,
}
"""How `mogabench profile` times a network where no option says else."""

_SET_UPS: dict[str | None, dict[str, Any]] = {
    "cpu": {"on_gpu": False, "batch_size": 1, "threads": 1},
    "cuda": {"on_gpu": True, "dtype": "bfloat16", "channels_last": True},
    None: {},
}
"""What else a timing of a column is, by the column's device."""


@dataclass(frozen=True)
class Timings:
    """What a column of timings shows: those of one machine, which alone can be compared.

    Attributes:
        records: By the keys of the networks.
        left_out: By the keys of networks that only other machines timed, what to say of these.
    """

    records: Mapping[str, Record] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def choose_timings(table: PaperTable, column: Column, store: Store) -> Timings:
    """The eager timings of a column, by a machine that was not busy.

    The machine is the paper's GPU where that timed one of the networks; else the one that timed
    the most of them and, of several, did so last. Of a network's timings `timings_by_machine`
    chooses.
    """
    subjects = filter(None, (cell_subject(row, column) for row in table.rows))
    by_machine = timings_by_machine(
        {subject.key for subject in subjects},
        store,
        value=TIMED[column.metric or ""],
        **{**PLAIN_RUN, **set_up_of(column)},
    )
    if not by_machine:
        return Timings()
    gpu = table.paper.about.gpu

    def worth(machine: str) -> tuple[bool, int, datetime]:
        found = by_machine[machine]
        latest = max(record.provenance.started for record in found)
        return is_gpu(gpu, machine), len(found), latest

    chosen = max(by_machine, key=worth)
    records = {record.subject.key: record for record in by_machine[chosen]}
    left_out = {
        record.subject.key: f"a timing on {machine} is left out: the column is of {chosen}"
        for machine, found in by_machine.items()
        for record in found
        if record.subject.key not in records
    }
    return Timings(records, left_out)


def set_up_of(column: Column) -> dict[str, Any]:
    """How a column's timings are made, where that is not as in a `PLAIN_RUN`."""
    return {**_SET_UPS[column.device], "runtime": column.runtime}


def timings_by_machine(
    keys: Container[str],
    store: Store,
    *,
    value: str = "throughput",
    with_batch: bool = False,
    **set_up: Any,
) -> dict[str, list[Record]]:
    """The timings that stand for networks by what they were made on: one in each runtime.

    It is the one of the largest batch, then one that is not rough, then the newest. A machine that
    was busy does not count.

    Args:
        keys: Of the networks.
        store: The records.
        value: What the timings must have measured.
        with_batch: Whether other batch sizes of a GPU are as other machines. Else a GPU's batch is
            taken to be as large as fits.
        **set_up: As of `mogabench.records.Record.same_setup`.
    """
    standing: dict[tuple[str, str, str | None], Record] = {}
    for record in store.all(Kind.THROUGHPUT):
        network, runtime = record.subject.key, record.provenance.runtime
        if network in keys and value in record.values and record.same_setup(busy=False, **set_up):
            place = _machine_of(record, with_batch=with_batch), network, runtime
            known = standing.get(place, record)
            standing[place] = max(record, known, key=_precedence)  # of equals the newer
    by_machine = defaultdict(list)
    for (machine, *_), record in standing.items():
        by_machine[machine].append(record)
    return by_machine


def timed_subjects(paper: Paper, task: Task[Any, Any]) -> list[Subject]:
    """The networks of a task that the figures of a paper time, and then those that its tables do.

    Those that are not here are left out.
    """
    of_figures = [
        make_subject(task, name)
        for figure in paper_figures(paper).values()
        for name in figure.networks
        if figure.task == task.name
    ]
    of_tables = [
        subject
        for table in paper.tables()
        for column in table.columns
        for row in table.rows
        if column.metric in TIMED
        and (subject := cell_subject(row, column))
        and subject.task == task.name
        and is_buildable(subject)
    ]
    return list(dict.fromkeys([*of_figures, *of_tables]))


def _machine_of(record: Record, *, with_batch: bool) -> str:
    """What a network was timed on, with the layout of its maps where that is not PyTorch's own."""
    where = record.provenance
    layout = ", channels_last" * where.channels_last
    batch = f", batch {where.batch_size}" * (with_batch or where.driver is None)
    return where.machine + batch + layout


def is_gpu(gpu: str, device: str) -> bool:
    """Whether a device is the GPU of that name, and not one whose name goes on, such as V100S."""
    pattern = rf"(?<!\w){re.escape(gpu)}(?!\w| Ti| SUPER| Laptop)"
    return bool(gpu) and re.search(pattern, device) is not None


def _precedence(record: Record) -> tuple[int, bool]:
    return record.provenance.batch_size or 0, not is_rough(record)

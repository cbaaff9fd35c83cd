"""What a paper shows timings of, and which timings its columns show."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mogabench.measure.trust import is_rough
from mogabench.paper import TIMED, cell_subject, paper_figures
from mogabench.records import Kind
from mogabench.tables.measurable import is_buildable
from mogabench.tasks import make_subject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mogabench.engine.task import Task
    from mogabench.paper import Column, Paper, PaperTable
    from mogabench.records import Record, Store
    from mogabench.subject import Subject

PLAIN_RUN: dict[str, Any] = {
    "dtype": "float32",
    "compiled": False,
    "channels_last": False,
    "busy": False,
}
_SET_UPS: dict[str | None, dict[str, Any]] = {
    "cpu": {**PLAIN_RUN, "on_gpu": False, "threads": 1, "batch_size": 1},
    "cuda": {**PLAIN_RUN, "on_gpu": True, "dtype": "bfloat16", "channels_last": True},
    None: PLAIN_RUN,
}
"""How a timing of a column has been made, by the column's device."""


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
    the most of them and, of several, did so last. Of a network's timings `precedence` chooses.
    """
    subjects = filter(None, (cell_subject(row, column) for row in table.rows))
    wanted = {**_SET_UPS[column.device], "runtime": column.runtime}
    by_machine: dict[str, dict[str, Record]] = {}
    for key in dict.fromkeys(subject.key for subject in subjects):
        for record in store.matching(key, Kind.THROUGHPUT, **wanted):
            if TIMED[column.metric or ""] in record.values:
                found = by_machine.setdefault(machine_of(record), {})
                found[key] = max(found.get(key, record), record, key=precedence)  # newest of equals
    if not by_machine:
        return Timings()
    gpu = table.paper.about.gpu

    def worth(machine: str) -> tuple[bool, int, datetime]:
        found = by_machine[machine].values()
        latest = max(record.provenance.started for record in found)
        return is_gpu(gpu, machine), len(found), latest

    chosen = max(by_machine, key=worth)
    left_out = {
        key: f"a timing on {machine} is left out: the column is of {chosen}"
        for machine, found in by_machine.items()
        for key in found
        if key not in by_machine[chosen]
    }
    return Timings(by_machine[chosen], left_out)


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


def machine_of(record: Record, *, with_batch: bool = False) -> str:
    """What a network was timed on, with the layout of its maps where that is not PyTorch's own.

    Args:
        record: Of its throughput.
        with_batch: Whether to name the batch size of a GPU, too, which else is as large as fits.
    """
    where = record.provenance
    layout = ", channels_last" * where.channels_last
    batch = f", batch {where.batch_size}"
    if where.driver is None:
        return f"{where.device}, {where.threads} thread(s){batch}{layout}"
    return where.device + batch * with_batch + layout


def is_gpu(gpu: str, device: str) -> bool:
    """Whether a device is the GPU of that name, and not one whose name goes on, such as V100S."""
    pattern = rf"(?<!\w){re.escape(gpu)}(?!\w| Ti| SUPER| Laptop)"
    return bool(gpu) and re.search(pattern, device) is not None


def precedence(record: Record) -> tuple[int, bool]:
    """What is shown of a network's timings on a machine: the largest batch, and no rough one."""
    return record.provenance.batch_size or 0, not is_rough(record)

"""Which measurements of a plan have no record yet."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mogabench.catalogue import import_packages
from mogabench.data.identity import data_name, is_of
from mogabench.errors import UserError
from mogabench.paper import cell_meta, get_paper
from mogabench.records import Kind, is_stale
from mogabench.records.provenance import cpu_name
from mogabench.sweeps.plan import Measurement, as_list, core, expand, from_anywhere, seed_options
from mogabench.tables.cells import command_of
from mogabench.tables.commands import timing_command
from mogabench.tables.join import join
from mogabench.tables.measurable import obstacle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mogabench.paper import PaperTable, Row
    from mogabench.records import Record, Store
    from mogabench.tables.cells import Cell
    from mogabench.tables.join import JoinedTable

_OPTIONS_OF_TABLES = {"tables", "paper", "papers", "data", "train", "seeds"}


@dataclass
class Missing:
    """What a plan asks for.

    Attributes:
        measurements: Those that have no record.
        done: How many have one.
        left_out: How many cannot be run, by table and reason.
    """

    measurements: list[Measurement] = field(default_factory=list)
    done: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def missing(entries: Sequence[dict[str, Any]], store: Store, *, elsewhere: bool = False) -> Missing:
    """Expands a plan, without what a record says was measured by the same command.

    Args:
        entries: As of `mogabench.sweeps.plan.read_plan`.
        store: The records.
        elsewhere: Whether other machines are to measure, such as those of a cluster: this one's
            processor and GPU then say nothing of what is done and of what can run.

    Raises:
        UserError: An entry is not right.
    """
    found, listed = Missing(), []
    for entry in entries:
        if "tables" in entry:
            listed += _of_tables(entry, store, found, elsewhere=elsewhere)
        else:
            listed += expand(entry)
    for item in listed:  # before it is asked which code made a record
        import_packages(item.values("--import"))
    measured = _measured_commands(store, elsewhere=elsewhere)
    for item in listed:
        if core(item.words) in measured:
            found.done += 1
        elif item not in found.measurements:
            found.measurements.append(item)
    return found


def _measured_commands(store: Store, *, elsewhere: bool) -> set[tuple[str, ...]]:
    """The commands behind the records, without where and how they were run."""
    found = set()
    # Not COMPLEXITY: a command counts its network before it trains, evaluates or times it.
    for kind in (Kind.QUALITY, Kind.THROUGHPUT, Kind.TRAIN_STEP):
        for record in store.all(kind):
            if record.provenance.busy or (not elsewhere and _is_of_another_cpu(record)):
                continue  # tables leave the one out, and the other says nothing of this machine
            if kind is not Kind.QUALITY and is_stale(record):
                continue  # `profile --skip-existing` measures it again, too
            try:
                found.add(core(shlex.split(record.provenance.command)[1:]))
            except ValueError:  # a command that was not written by a shell's rules
                continue
    return found


def _is_of_another_cpu(record: Record) -> bool:
    """Whether a timing is of another processor than this machine's."""
    where = record.provenance
    is_timing = record.kind in (Kind.THROUGHPUT, Kind.TRAIN_STEP)
    return is_timing and where.driver is None and where.device != cpu_name()


def _of_tables(
    entry: dict[str, Any], store: Store, found: Missing, *, elsewhere: bool
) -> list[Measurement]:
    """What fills the cells of tables that are not measured; what cannot be run is left out."""
    chosen = _tables(entry)
    data = entry.get("data") or {}
    if not isinstance(data, dict):
        raise UserError("data of a plan's tables names a folder for each task, {pose: /data/coco}")
    commands: dict[Measurement, None] = {}
    trains, seeds = bool(entry.get("train")), seed_options(entry.get("seeds"))
    for table in chosen:
        joined = join(table, store)
        found.left_out.update(f"{table.name}: {reason}" for reason in _obstacles(joined))
        asked = _unmeasured(joined, repeats=trains and bool(seeds), elsewhere=elsewhere)
        for cell, command in asked:
            reason = _obstacle(cell, command, data, trains=trains)
            if not elsewhere and _lacks_gpu(command):
                reason = "needs a GPU"
            if reason:
                found.left_out[f"{table.name}: {reason}"] += 1
                continue
            assert cell.subject
            own = shlex.quote(from_anywhere("--data", str(data.get(cell.subject.task))))
            words = shlex.split(command.replace("--data DIR", f"--data {own}"))
            commands[Measurement(tuple(words[1:]))] = None
    return list(_with_seeds(commands, seeds))


def _tables(entry: dict[str, Any]) -> list[PaperTable]:
    """The tables that an entry names.

    Raises:
        UserError: It has another option, or what it names does not exist.
    """
    extra = sorted(str(name) for name in entry.keys() - _OPTIONS_OF_TABLES)
    if extra:
        valid = ", ".join(sorted(_OPTIONS_OF_TABLES))
        raise UserError(f"a plan's tables take {valid}, not {', '.join(extra)}")
    ids, name, papers = entry["tables"], entry.get("paper"), entry.get("papers")
    if not isinstance(name, str | None) or not isinstance(papers, str | None):
        raise UserError(
            f"paper: {name}, papers: {papers}: an entry is of one paper, such as paper: convnext, "
            "papers: DIR"
        )
    paper = get_paper(name, Path(papers) if papers else None)
    return paper.tables() if ids == "all" else [paper.table(str(item)) for item in as_list(ids)]


def _obstacles(table: JoinedTable) -> Iterator[str]:
    """Why no command measures cells, such as those of a network that is not here; one for each."""
    for row in table.rows:
        for cell in row.cells:
            if cell.subject and cell.measured is None:
                reason = obstacle(table.paper, row.row, cell.column)
                yield from [reason] * bool(reason)


def _unmeasured(
    table: JoinedTable, *, repeats: bool, elsewhere: bool
) -> Iterator[tuple[Cell, str]]:
    """A table's cells that a command would fill, one for each command.

    With ``repeats`` also the trainings of cells that one of several seeds has filled.
    """
    seen = set()
    for row in table.rows:
        for cell in row.cells:
            command = _command(cell, elsewhere=elsewhere)
            command = command or (_training(row.row, cell) if repeats else None)
            if command and command not in seen:
                seen.add(command)
                yield cell, command


def _command(cell: Cell, *, elsewhere: bool) -> str | None:
    """What measures a cell that has no figure, or a timing of another processor."""
    if cell.measured is None:
        return cell.command
    is_of_cpu = cell.column.device == "cpu" and not elsewhere
    if cell.subject and is_of_cpu and any(map(_is_of_another_cpu, cell.records)):
        return timing_command(cell.subject, cell.column)
    return None


def _training(row: Row, cell: Cell) -> str | None:
    """The training that measures a quality, also where that is measured."""
    if cell.measured is None or cell.subject is None:
        return None
    command = command_of(cell.subject, cell_meta(row, cell.column), cell.column)
    return command if command and "--train" in command.split() else None


def _lacks_gpu(command: str) -> bool:
    """Whether a command needs a GPU, and this machine has none that PyTorch computes on."""
    from mogabench.machine import find_gpu_fault

    return "--gpu" in command.split() and bool(find_gpu_fault())


def _obstacle(cell: Cell, command: str, data: dict[str, Any], *, trains: bool) -> str | None:
    """Why a cell's command cannot be run; None where it can."""
    assert cell.subject
    if "--data DIR" in command and (reason := _obstacle_of_data(cell, cell.subject.task, data)):
        return reason
    files = [option for option, value in pairwise(command.split()) if value == "FILE"]
    if "--weights" in files:
        return "needs weights that are not released"
    if files:
        return f"needs {files[0]} FILE, which an entry 'run: {cell.subject.task}' can name"
    if "--train" in command.split() and not trains:
        return "needs training, but the plan does not set 'train: true'"
    return None


def _obstacle_of_data(cell: Cell, task: str, data: dict[str, Any]) -> str | None:
    """Why a cell of a task cannot be measured on a plan's data."""
    if task not in data:
        return f"the plan names no data of {task}"
    is_own = cell.dataset.startswith("folder:")
    if is_own and not is_of(cell.dataset, data_name(Path(str(data[task])))):
        return f"needs {cell.dataset}, which is not the plan's data of {task}"
    return None


def _with_seeds(
    commands: Iterable[Measurement], seeds: Sequence[tuple[str, str]]
) -> Iterator[Measurement]:
    """The commands, a training once for each seed."""
    for item in commands:
        if not (seeds and item.trains):
            yield item
            continue
        for seed in seeds:
            yield Measurement((*item.words, *seed))

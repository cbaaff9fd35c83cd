"""Which measurements of a plan have no record yet."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError
from mogabench.paper import get_paper
from mogabench.records import Kind
from mogabench.sweeps.plan import Measurement, as_list, core, expand, seed_options
from mogabench.tables.join import join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mogabench.paper import PaperTable
    from mogabench.records import Store
    from mogabench.tables.cells import Cell

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


def missing(entries: Sequence[dict[str, Any]], store: Store) -> Missing:
    """Expands a plan, without what a record says was measured by the same command.

    Args:
        entries: As of `mogabench.sweeps.plan.read_plan`.
        store: The records.

    Raises:
        UserError: An entry is not right.
    """
    found = Missing()
    measured = _measured_commands(store)
    for entry in entries:
        listed = _of_tables(entry, store, found) if "tables" in entry else expand(entry)
        for item in listed:
            if core(item.words) in measured:
                found.done += 1
            elif item not in found.measurements:
                found.measurements.append(item)
    return found


def _measured_commands(store: Store) -> set[tuple[str, ...]]:
    """The commands behind the records, without where and how they were run."""
    kinds = (Kind.QUALITY, Kind.THROUGHPUT, Kind.TRAIN_STEP, Kind.COMPLEXITY)
    found = set()
    for kind in kinds:
        for record in store.all(kind):
            if record.provenance.busy:  # tables leave it out, so it is to be made again
                continue
            try:
                found.add(core(shlex.split(record.provenance.command)[1:]))
            except ValueError:  # a command that was not written by a shell's rules
                continue
    return found


def _of_tables(entry: dict[str, Any], store: Store, found: Missing) -> list[Measurement]:
    """What fills the cells of tables that are not measured; what cannot be run is left out."""
    extra = entry.keys() - _OPTIONS_OF_TABLES
    if extra:
        valid = ", ".join(sorted(_OPTIONS_OF_TABLES))
        raise UserError(f"a plan's tables take {valid}, not {', '.join(sorted(extra))}")
    ids = entry["tables"]
    papers = entry.get("papers")
    paper = get_paper(entry.get("paper"), Path(papers) if papers else None)
    chosen = paper.tables() if ids == "all" else [paper.table(str(item)) for item in as_list(ids)]
    data = entry.get("data") or {}
    if not isinstance(data, dict):
        raise UserError("data of a plan's tables names a folder for each task, {pose: /data/coco}")
    commands: dict[Measurement, None] = {}
    for table in chosen:
        for cell in _unmeasured(table, store):
            reason = _obstacle(cell, data, trains=bool(entry.get("train")))
            if reason:
                found.left_out[f"{table.name}: {reason}"] += 1
                continue
            assert cell.command and cell.subject
            task = cell.subject.task
            own = shlex.quote(str(data.get(task)))
            words = shlex.split(cell.command.replace("--data DIR", f"--data {own}"))
            commands[Measurement(tuple(words[1:]), task)] = None
    return list(_with_seeds(commands, seed_options(entry.get("seeds"))))


def _unmeasured(table: PaperTable, store: Store) -> Iterator[Cell]:
    """A table's cells that a command would fill, one for each command."""
    seen = set()
    for row in join(table, store).rows:
        for cell in row.cells:
            if cell.command and cell.measured is None and cell.command not in seen:
                seen.add(cell.command)
                yield cell


def _obstacle(cell: Cell, data: dict[str, Any], *, trains: bool) -> str | None:
    """Why a cell's command cannot be run; None where it can."""
    assert cell.command and cell.subject
    if "--data DIR" in cell.command and cell.subject.task not in data:
        return f"the plan names no data of {cell.subject.task}"
    if "FILE" in cell.command.split():
        return "needs weights that are not released"
    if "--train" in cell.command.split() and not trains:
        return "needs a training, and the plan says no 'train: true'"
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
            yield Measurement((*item.words, *seed), item.task)

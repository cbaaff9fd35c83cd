"""Records of several folders: gathered in one, compared, and checked."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mogabench.errors import UserError
from mogabench.escaping import command_line
from mogabench.records.schema import Kind
from mogabench.records.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mogabench.records.schema import Record


_SAME_QUALITY = 1e-3
"""Relative: other batches and threads sum in another order, which moves a few samples."""


@dataclass(frozen=True)
class Conflict:
    """Two records that answer the same question with different figures.

    Attributes:
        ours: The one that was there before.
        theirs: The other one.
        differing: The names of the values that differ.
    """

    ours: Record
    theirs: Record
    differing: tuple[str, ...]


@dataclass
class Comparison:
    """What another folder has: records that are new here, known ones, and conflicts."""

    new: list[Record] = field(default_factory=list)
    known: int = 0
    conflicts: list[Conflict] = field(default_factory=list)


def compare_folders(ours: Store, theirs: Store) -> Comparison:
    """What the records of another folder are to those that are here.

    A record is known where one with the same content is here; one that is there twice counts once.
    Two are in conflict where the figures had to be equal: counts by the same code, and, to a
    thousandth, qualities of the same weights on the same data by the same settings in the same
    arithmetic. Times are never in conflict.
    """
    found = Comparison()
    ids = {record.id for record in ours.all()}
    answers = {question: record for record in ours.all() if (question := _question(record))}
    for record in {record.id: record for record in theirs.all()}.values():
        if record.id in ids:
            found.known += 1
            continue
        found.new.append(record)
        other = answers.get(_question(record) or "")
        if other is not None and (names := tuple(_differing(other, record))):
            found.conflicts.append(Conflict(other, record, names))
    return found


def merge(store: Store, folders: Iterable[Path]) -> Comparison:
    """Adds the records of results folders to a store; those that are there already, once.

    Args:
        store: Takes the records.
        folders: Results folders, such as of other machines.

    Returns:
        What was new, known and in conflict over all folders; conflicting records are added, too.

    Raises:
        UserError: A folder holds no records or one that cannot be read, or the store cannot be
            written. Nothing is added unless all folders can be read.
    """
    opened = [open_whole(folder, "merged") for folder in folders]
    whole = Comparison()
    for theirs in opened:
        found = compare_folders(store, theirs)
        for record in found.new:
            if store.append(record):
                whole.new.append(record)
            else:  # it repeats the newest one in all but time
                whole.known += 1
        whole.known += found.known
        whole.conflicts += found.conflicts
    return whole


def open_whole(folder: Path, undone: str) -> Store:
    """The records of a folder, each of which can be read.

    Args:
        folder: A results folder.
        undone: What is not done otherwise, such as ``merged``.

    Raises:
        UserError: The folder holds no records or one that cannot be read.
    """
    store = _open(folder)
    if store.problems:
        lists = command_line("records", "check", folder)
        raise UserError(
            f"nothing was {undone}, as {folder} cannot be read whole: {store.problems[0]}; "
            f"{lists} lists them all"
        )
    return store


def check(folder: Path) -> list[str]:
    """What is wrong with the records of a folder, a line each.

    Raises:
        UserError: The folder holds no records.
    """
    store = _open(folder)
    torn = [f"{path}: lines that a killed process left unfinished" for path in _torn(store)]
    seen: defaultdict[str, int] = defaultdict(int)
    for record in store.all():
        seen[record.id] += 1
    twice = [f"record {name} is there {count} times" for name, count in seen.items() if count > 1]
    return [*store.problems, *torn, *twice]


def _open(folder: Path) -> Store:
    store = Store(folder)
    if not any((store.folder / f"{kind}.jsonl").is_file() for kind in Kind):
        raise UserError(f"{folder} holds no records: give a folder of results")
    list(store.all())  # finds the problems
    return store


def _torn(store: Store) -> list[Path]:
    return sorted(store.folder.glob("*.torn"))


def _question(record: Record) -> str | None:
    """What a record answers, where there is one right answer; else None."""
    how = record.provenance
    if record.kind is Kind.COMPLEXITY and how.code:
        return f"{record.kind} {record.subject.key} {sorted(how.code.items())}"
    if record.kind is Kind.QUALITY and how.weights and how.data:
        arithmetic = (how.device, how.dtype, how.amp, how.runtime, how.channels_last, how.compiled)
        settings = (how.evaluated_size, how.recipe, sorted((how.recipe_changes or {}).items()))
        evaluated = (how.weights, how.data.digest, arithmetic, settings)
        return f"{record.kind} {record.subject.key} {evaluated}"
    return None


def _differing(one: Record, other: Record) -> Iterator[str]:
    tolerance = _SAME_QUALITY if one.kind is Kind.QUALITY else 0.0
    for name, ours in one.values.items():
        theirs = other.values.get(name, ours)
        close = math.isclose(ours.value, theirs.value, rel_tol=tolerance)
        if not close or ours.unit != theirs.unit:
            yield name

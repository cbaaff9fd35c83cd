"""Parameters and operations of the rows, from the records, and what errata derive from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mogabench.paper import CONVENTIONS, subject_of
from mogabench.records import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mogabench.paper import Derivation, Meta, Term
    from mogabench.records import Record, Store
    from mogabench.subject import Subject

_VALUES = {"params": "trainable_parameters", "activations": "activations"}
"""The values of records that metrics without conventions are."""


@dataclass(frozen=True)
class Cost:
    """What a cell of parameters or operations measures.

    Attributes:
        value: What its metric counts: trainable parameters, multiply-accumulates by the cell's
            convention, or activations.
        by_convention: The multiply-accumulates by each convention; empty for other metrics.
        records: What they were read from; a difference has two.
    """

    value: float
    by_convention: Mapping[str, float]
    records: tuple[Record, ...]


def cost(meta: Meta, metric: str, convention: str | None, store: Store) -> Cost | None:
    """The cost of a row; None where a record of it is missing.

    Args:
        meta: What the row is about; with a ``baseline``, its cost is taken off.
        metric: ``params``, ``operations`` or ``activations``.
        convention: How operations are counted; None for other metrics.
        store: The records.
    """
    found = [(sign, _record(subject_of(part), store)) for sign, part in _parts(meta)]
    signed = [(sign, record) for sign, record in found if record is not None]
    if len(signed) < len(found):
        return None

    def total(name: str) -> float:
        return sum(sign * record.values[name].value for sign, record in signed)

    records = tuple(record for _, record in signed)
    if convention is None:
        return Cost(total(_VALUES[metric]), {}, records)
    name = _operations(convention)
    if any(name not in record.values for record in records):
        return None
    by_convention = {
        each: total(_operations(each))
        for each in CONVENTIONS
        if all(_operations(each) in record.values for record in records)
    }
    return Cost(total(name), by_convention, records)


def derive(
    derivation: Derivation, meta: Meta, metric: str, convention: str | None, store: Store
) -> float | None:
    """What a derivation comes to, without rounding; None where a record is missing.

    Args:
        derivation: The derivation.
        meta: What the row is about.
        metric: As of `cost`.
        convention: As there.
        store: The records.
    """
    values = [_term_value(term, meta, metric, convention, store) for term in derivation.terms]
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def needed_subjects(meta: Meta, derivations: tuple[Derivation, ...]) -> Iterator[Subject]:
    """Every subject that a cell and its derivations read the complexity of."""
    for _, part in _parts(meta):
        yield subject_of(part)
    for derivation in derivations:
        for term in derivation.terms:
            yield from (subject for _, subject in _term_subjects(term, meta))


def _parts(meta: Meta) -> list[tuple[int, Meta]]:
    parts = [(1, meta)]
    if meta.baseline is not None:
        parts.append((-1, replace(meta, options=meta.baseline)))
    return parts


def _record(subject: Subject, store: Store) -> Record | None:
    return store.latest(subject.key, Kind.COMPLEXITY)


def _operations(convention: str) -> str:
    return f"operations_{convention}"


def _term_meta(term: Term, meta: Meta) -> Meta:
    options = {**meta.options, **term.changes.get("options", {})}
    return replace(meta, **{**term.changes, "options": options})


def _term_subjects(term: Term, meta: Meta) -> list[tuple[float, Subject]]:
    """What a term measures, each with what it is multiplied by."""
    subjects = []
    for sign, part in _parts(_term_meta(term, meta)):
        whole = subject_of(part, form=term.form)
        subjects.append((sign * term.times, whole))
        if term.without is not None:
            left_out = subject_of(part, part=term.without, form=term.form)
            subjects.append((-sign * term.times, left_out))
    return subjects


def _term_value(
    term: Term, meta: Meta, metric: str, convention: str | None, store: Store
) -> float | None:
    name = _operations(term.convention or convention) if convention else _VALUES[metric]
    total = 0.0
    for times, subject in _term_subjects(term, meta):
        record = _record(subject, store)
        if record is None or name not in record.values:
            return None
        total += times * record.values[name].value
    return total

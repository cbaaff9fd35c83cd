"""One cell joined: what is printed, what the records hold for it, and how far apart they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mogabench.paper import (
    Meta,
    cell_meta,
    cell_subject,
    counting_source,
    erratum,
    has_tolerance,
    printed_value,
)
from mogabench.records import Kind, is_stale
from mogabench.tables.commands import command_for
from mogabench.tables.costs import SCALE, cost, derive
from mogabench.tables.verdict import Status, agrees, gives, is_close, judge_quality, rounds_to
from mogabench.tasks import tasks
from mogabench.variants import variant_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mogabench.paper import Column, Derivation, Erratum, PaperTable, Row
    from mogabench.records import Record, Store
    from mogabench.subject import Subject

_MOGANET = Meta(task="classification", backbone="moganet_small")

COSTS = ("params", "operations")
_PLAIN = {"dtype": "float32", "compiled": False, "channels_last": False, "busy": False}
_PAPER_GPU = "Tesla V100"  # Figure A3, Table A14


@dataclass(frozen=True)
class Cell:
    """One cell of a table, joined.

    Attributes:
        column: The column's head and meaning.
        printed: The cell's text in the paper.
        paper: The printed number; None where there is none.
        unit: The unit of the printed and the measured number.
        measured: The measured number; None where there is no record.
        status: None for a descriptive cell, such as a date, and where nothing was printed.
        subject: What is measured; None for a descriptive cell.
        convention: How the operations are counted; None for other figures.
        counted_by: Who counted the printed operations; empty for other figures.
        command: What would measure the cell; None where it is measured, or cannot be.
        erratum: What is known to be wrong with the printed text; empty for most cells.
        account: What the erratum's reason comes to in numbers, such as what was measured of the
            other configuration; empty for most cells.
        caveat: What a reader of the measured number must know; empty for most cells.
        printed_for: What the printed number is a number of, by a proven derivation; None for most.
        counts: The measured operations by each convention, in the unit; empty for other figures.
        records: What the measured number was read from.
    """

    column: Column
    printed: str
    paper: float | None = None
    unit: str = ""
    measured: float | None = None
    status: Status | None = None
    subject: Subject | None = None
    convention: str | None = None
    counted_by: str = ""
    command: str | None = None
    erratum: str = ""
    account: str = ""
    caveat: str = ""
    printed_for: float | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    records: tuple[Record, ...] = ()

    @property
    def difference(self) -> float | None:
        """The relative difference of measured from printed, or None."""
        if self.paper is None or self.measured is None or not self.paper:
            return None
        return self.measured / self.paper - 1


def join_cell(table: PaperTable, row: Row, column: Column, store: Store) -> Cell:
    """Joins a cell of a table with the records; a user's own row has no printed text."""
    printed = row.cells.get(column.head, "")
    known = erratum(table.id, row, column)
    cell = Cell(column, printed, printed_value(printed), erratum=_reason(known))
    subject = cell_subject(row, column)
    if column.metric is None or subject is None or (cell.paper is None and printed):
        return cell
    meta = cell_meta(row, column)
    unit = column.unit or _unit_of(column.metric, subject)
    cell = replace(cell, unit=unit, subject=subject)
    if column.metric in COSTS:
        joined = _join_cost(cell, meta, known, store, tolerant=has_tolerance(table.id))
    elif column.metric == "fps":
        joined = _join_throughput(cell, subject, store)
    else:
        joined = _join_quality(cell, meta, subject, store)
    if joined.measured is None:
        command = _command(subject, meta, column)
        return replace(joined, status=Status.NOT_MEASURED, command=command)
    return joined


def _reason(known: Erratum | None) -> str:
    if known is None:
        return ""
    reason = known.reason.rstrip(".")
    return f"{reason} ({known.source})" if known.source else reason


def _unit_of(metric: str, subject: Subject) -> str:
    """The unit that the task states for its metric."""
    task = tasks().get(subject.task)
    units = {item.name: item.unit for item in task.metrics} if task else {}
    return units.get(metric, "")


def _join_cost(
    cell: Cell, meta: Meta, known: Erratum | None, store: Store, *, tolerant: bool
) -> Cell:
    metric, scale = cell.column.metric or "", SCALE[cell.unit]
    if metric == "operations":
        # A row without print is a user's own: counted as the MogaNet rows that it stands beside.
        counted = counting_source(meta if cell.printed else _MOGANET)
        cell = replace(cell, convention=counted.convention, counted_by=counted.source)
    found = cost(meta, cell.convention, store)
    if found is None:
        return cell
    cell = replace(
        cell,
        measured=found.value / scale,
        counts={name: value / scale for name, value in found.by_convention.items()},
        records=found.records,
        caveat=_caveat(found.records),
    )
    return _judge_cost(cell, meta, known, store, tolerant=tolerant)


def _caveat(records: tuple[Record, ...], *others: str) -> str:
    """The records' notes, whether other code made them, and what else there is to say."""
    notes = [note for record in records for note in record.notes]
    if any(map(is_stale, records)):
        notes.append("made by other code than this version's")
    return "; ".join(dict.fromkeys([*notes, *others]))


def _judge_cost(
    cell: Cell, meta: Meta, known: Erratum | None, store: Store, *, tolerant: bool
) -> Cell:
    metric, measured = cell.column.metric or "", cell.measured
    assert measured is not None
    if cell.paper is None:
        return cell
    if rounds_to(cell.printed, measured):
        return replace(cell, status=Status.ROUNDS)
    if tolerant and is_close(cell.printed, measured, metric):
        return replace(cell, status=Status.WITHIN_TOLERANCE)
    if known is None:
        return replace(cell, status=Status.UNEXPLAINED)
    derived = [
        (derivation, derive(derivation, meta, metric, store)) for derivation in known.derivations
    ]
    texts = [_account(derivation, value, cell) for derivation, value in derived]
    proven = known.should_be is not None or known.printed_is is not None
    if known.should_be is not None:
        proven &= agrees(known.should_be, measured, metric, tolerant=tolerant)
    printed_for = None
    if known.printed_is is not None:
        value = derived[0][1]
        printed_for = None if value is None else value / SCALE[cell.unit]
        proven &= printed_for is not None and gives(
            known.printed_is, printed_for, cell.printed, metric, tolerant=tolerant
        )
    return replace(
        cell,
        status=Status.KNOWN_REASON if proven else Status.UNEXPLAINED,
        account="; ".join(texts),
        printed_for=printed_for if proven else None,
    )


def _account(derivation: Derivation, value: float | None, cell: Cell) -> str:
    """A derivation with what it comes to, such as ``with windows of 7: 267.63``."""
    if value is None:
        return f"{derivation.text}: not measured"
    scaled = value / SCALE[cell.unit]
    digits = len(cell.printed.partition(".")[2]) + 2
    return f"{derivation.text}: {scaled:.{digits}f}"


def _join_throughput(cell: Cell, subject: Subject, store: Store) -> Cell:
    """A throughput is the eager one in float32, of a machine that was not busy.

    On another device than the paper's nothing is compared.
    """
    record = store.latest(subject.key, Kind.THROUGHPUT, **_PLAIN)
    if record is None:
        return cell
    cell = replace(cell, measured=record.values["throughput"].value, records=(record,))
    if cell.paper is None:
        return cell
    where = record.provenance
    if _PAPER_GPU not in where.device:
        device = f"measured with batch {where.batch_size} on {where.device}"
        caveat = _caveat((record,), f"{device}, printed for a {_PAPER_GPU}")
        return replace(cell, status=Status.OTHER_DEVICE, caveat=caveat)
    rounds = rounds_to(cell.printed, record.values["throughput"].value)
    status = Status.ROUNDS if rounds else Status.UNEXPLAINED
    return replace(cell, status=status, caveat=_caveat((record,)))


def _join_quality(cell: Cell, meta: Meta, subject: Subject, store: Store) -> Cell:
    """A quality must have been measured on the paper's data, with weights of the row's recipe."""
    record = _quality_record(meta, subject, store)
    quantity = None if record is None else record.values.get(cell.column.metric or "")
    if record is None or quantity is None:
        return cell
    is_share = (quantity.unit, cell.unit) == ("1", "%")  # Table 7 prints SSIM so
    value = 100 * quantity.value if is_share else quantity.value
    cell = replace(cell, measured=value, records=(record,), caveat="; ".join(record.notes))
    if cell.paper is None:
        return cell
    samples = record.provenance.data.samples if record.provenance.data else 0
    noise = _noise(cell.column.metric or "", subject, cell.paper, samples)
    return replace(cell, status=judge_quality(cell.printed, value, noise))


def _noise(metric: str, subject: Subject, value: float, samples: int) -> float | None:
    """The standard deviation that the task states for its metric."""
    found = next(item for item in tasks()[subject.task].metrics if item.name == metric)
    return found.noise(value, samples) if found.noise and samples else None


def _quality_record(meta: Meta, subject: Subject, store: Store) -> Record | None:
    recipe = meta.recipe or None
    if subject.task not in tasks() or (recipe is None and variant_of(subject.backbone)):
        return None  # a MogaNet trained in a way that no recipe here has
    dataset = tasks()[subject.task].datasets[subject.method]
    record = store.latest(
        subject.key,
        Kind.QUALITY,
        dataset=dataset,
        recipe=recipe,
        recipe_changes=dict(meta.settings) or None,
    )
    if record and meta.pretraining == "none" and record.provenance.initial_weights:
        return None
    return record


def _command(subject: Subject, meta: Meta, column: Column) -> str | None:
    """What would measure a cell; None where its network is not implemented."""
    if not is_buildable(subject):
        return None
    kinds = {"fps": Kind.THROUGHPUT} | dict.fromkeys(COSTS, Kind.COMPLEXITY)
    kind = kinds.get(column.metric or "", Kind.QUALITY)
    return command_for(
        subject,
        kind,
        recipe=meta.recipe or None,
        settings=meta.settings,
        pretraining=meta.pretraining,
    )


def is_buildable(subject: Subject) -> bool:
    """Whether the task, the method and the backbone exist."""
    task = tasks().get(subject.task)
    return (
        task is not None and subject.method in task.methods and subject.backbone in task.backbones()
    )

"""The join: what the paper prints beside what the records hold, and how far apart they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from mogabench.paper import cell_meta, cell_subject, decimals, erratum, printed_value
from mogabench.records import Kind
from mogabench.tables.commands import command_for
from mogabench.tasks import tasks
from mogabench.variants import variant_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mogabench.paper import Column, PaperTable, Row
    from mogabench.records import Record, Store
    from mogabench.subject import Subject

DEFAULT_CONVENTION = "paper"
_KINDS = {"params": Kind.COMPLEXITY, "operations": Kind.COMPLEXITY, "fps": Kind.THROUGHPUT}
_VALUES = {"params": "trainable_parameters", "fps": "throughput"}
_PLAIN = {"dtype": "float32", "compiled": False, "channels_last": False}
_PAPER_GPU = "Tesla V100"  # Figure A3, Table A14
_SCALE = {"M": 1e6, "G": 1e9}
_TOLERANCE = {"params": 0.005, "operations": 0.01}


class Status(StrEnum):
    """How a cell stands."""

    MATCH = "match"
    DIFFERS = "differs"
    UNEXPLAINED = "unexplained"
    NOT_MEASURED = "not_measured"


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
        command: What would measure the cell; None where it is measured, or cannot be.
        erratum: What is known to be wrong with the printed text; empty for most cells.
        caveat: What a reader of the measured number must know; empty for most cells.
    """

    column: Column
    printed: str
    paper: float | None = None
    unit: str = ""
    measured: float | None = None
    status: Status | None = None
    subject: Subject | None = None
    convention: str | None = None
    command: str | None = None
    erratum: str = ""
    caveat: str = ""

    @property
    def difference(self) -> float | None:
        """The relative difference of measured from printed, or None."""
        if self.paper is None or self.measured is None or not self.paper:
            return None
        return self.measured / self.paper - 1


@dataclass(frozen=True)
class JoinedRow:
    """A row of the paper with its cells joined; ``added`` marks a user's own."""

    row: Row
    cells: tuple[Cell, ...]
    added: bool = False


@dataclass(frozen=True)
class JoinedTable:
    """A table of the paper with every cell joined."""

    paper: PaperTable
    rows: tuple[JoinedRow, ...]

    def count(self, status: Status) -> int:
        """How many cells have that status."""
        return sum(cell.status == status for row in self.rows for cell in row.cells)


def join(table: PaperTable, store: Store) -> JoinedTable:
    """Joins a table with the records; rows of `with_backbones` have no printed cells."""
    rows = [
        JoinedRow(
            row,
            tuple(_join_cell(table, row, column, store) for column in table.columns),
            added=not row.cells,
        )
        for row in table.rows
    ]
    return JoinedTable(table, tuple(rows))


def with_backbones(table: PaperTable, names: list[str]) -> PaperTable:
    """Appends a row for each backbone, measured as the table's first MogaNet row is.

    In Table 3 that is at 224x224 from scratch, where the last one is a fine-tuned network.
    """
    models = [row for row in table.rows if row.meta.backbone.startswith("moganet_")]
    if not models:
        return table
    meta = replace(models[0].meta, options={}, recipe="")
    rows = [
        replace(models[0], index=index, label=name, meta=replace(meta, backbone=name), cells={})
        for index, name in enumerate(names, start=len(table.rows))
    ]
    return replace(table, rows=(*table.rows, *rows))


def unmeasured(tables: list[PaperTable], store: Store, *, fresh: bool = False) -> list[Subject]:
    """The distinct subjects whose complexity can be measured here and has no record yet.

    Args:
        tables: The tables to look through.
        store: The records there are.
        fresh: Ask for subjects that have a record, too.
    """
    wanted = {subject.key: subject for table in tables for subject in subjects_of(table)}
    return [
        subject
        for key, subject in wanted.items()
        if is_buildable(subject) and (fresh or store.latest(key, Kind.COMPLEXITY) is None)
    ]


def subjects_of(table: PaperTable) -> Iterator[Subject]:
    """What the parameters and operations of a table are about; some more than once."""
    for row in table.rows:
        for column in table.columns:
            if _KINDS.get(column.metric or "") == Kind.COMPLEXITY:
                subject = cell_subject(row, column)
                if subject is not None:
                    yield subject


def is_buildable(subject: Subject) -> bool:
    """Whether the task, the method and the backbone exist."""
    task = tasks().get(subject.task)
    return (
        task is not None and subject.method in task.methods and subject.backbone in task.backbones()
    )


def _join_cell(table: PaperTable, row: Row, column: Column, store: Store) -> Cell:
    printed = row.cells.get(column.head, "")
    known = erratum(table.id, row, column)
    reason = known.reason.rstrip(".") if known else ""
    cell = Cell(column, printed, printed_value(printed), erratum=reason)
    subject = cell_subject(row, column)
    if column.metric is None or subject is None or (cell.paper is None and printed):
        return cell
    is_counted = column.metric == "operations"
    cell = replace(
        cell,
        unit=column.unit or _unit_of(column.metric, subject),
        subject=subject,
        convention=convention_of(row, column) if is_counted else None,
    )
    record = _record_for(subject, row, column, store)
    measured = None if record is None else _value(record, cell)
    if record is None or measured is None:
        command = _command(subject, row, column)
        return replace(cell, status=Status.NOT_MEASURED, command=command)
    device = _other_device(record, column)
    return replace(
        cell,
        measured=measured,
        status=_status(cell, measured, explained=bool(device)),
        caveat="; ".join(filter(None, [*record.notes, device])),
    )


def _unit_of(metric: str, subject: Subject) -> str:
    """The unit that the task states for its metric."""
    task = tasks().get(subject.task)
    units = {item.name: item.unit for item in task.metrics} if task else {}
    return units.get(metric, "")


def _record_for(subject: Subject, row: Row, column: Column, store: Store) -> Record | None:
    """The newest record that answers a cell.

    A throughput is the eager one in float32. A quality must have been measured on the paper's
    data, with weights trained by the recipe behind the printed figure.
    """
    kind = _KINDS.get(column.metric or "", Kind.QUALITY)
    if kind == Kind.COMPLEXITY:
        return store.latest(subject.key, kind)
    if kind == Kind.THROUGHPUT:
        return store.latest(subject.key, kind, **_PLAIN)
    meta = cell_meta(row, column)
    recipe = meta.recipe or None
    if subject.task not in tasks() or (recipe is None and variant_of(subject.backbone)):
        return None  # a MogaNet trained in a way that no recipe here has
    dataset = tasks()[subject.task].datasets[subject.method]
    record = store.latest(subject.key, kind, dataset=dataset, recipe=recipe, recipe_changes=None)
    if record and meta.pretraining == "none" and record.provenance.initial_weights:
        return None
    return record


def _value(record: Record, cell: Cell) -> float | None:
    """The record's value for a cell, in the cell's unit."""
    name = cell.column.metric or ""
    name = f"operations_{cell.convention}" if cell.convention else _VALUES.get(name, name)
    quantity = record.values.get(name)
    if quantity is None:
        return None
    is_share = (quantity.unit, cell.unit) == ("1", "%")  # Table 7 prints SSIM so
    return 100 * quantity.value if is_share else quantity.value / _SCALE.get(cell.unit, 1.0)


def convention_of(row: Row, column: Column) -> str:
    """The convention by which the printed operations of a row were counted."""
    return cell_meta(row, column).convention or DEFAULT_CONVENTION


def _other_device(record: Record, column: Column) -> str:
    """What a throughput was measured on, where that is not what the paper's was."""
    where = record.provenance
    if _KINDS.get(column.metric or "") != Kind.THROUGHPUT or _PAPER_GPU in where.device:
        return ""
    return f"measured on {where.device} with batch {where.batch_size}, printed for a {_PAPER_GPU}"


def _status(cell: Cell, measured: float, *, explained: bool) -> Status | None:
    if cell.paper is None:
        return None
    if agrees(cell.printed, measured, cell.column.metric or ""):
        return Status.MATCH
    # An erratum of an accuracy states a contradiction of the paper; it excuses no measurement.
    explained |= bool(cell.erratum) and cell.column.metric in _TOLERANCE
    return Status.DIFFERS if explained else Status.UNEXPLAINED


def agrees(printed: str, measured: float, metric: str) -> bool:
    """Whether a measured number rounds to the printed digits or lies within the tolerance.

    The tolerance is 0.5 % for parameters and 1 % for operations; a metric of quality has none.
    """
    paper = printed_value(printed)
    assert paper is not None
    unit = Decimal(1).scaleb(-decimals(printed))
    rounded = Decimal(repr(measured)).quantize(unit, rounding=ROUND_HALF_UP)
    return float(rounded) == paper or abs(measured - paper) <= _TOLERANCE.get(metric, 0) * paper


def _command(subject: Subject, row: Row, column: Column) -> str | None:
    """What would measure a cell; None where its network is not implemented."""
    if not is_buildable(subject):
        return None
    meta, kind = cell_meta(row, column), _KINDS.get(column.metric or "", Kind.QUALITY)
    return command_for(subject, kind, recipe=meta.recipe or None, pretraining=meta.pretraining)

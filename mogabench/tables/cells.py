"""One cell joined: what is printed, what the records hold for it, and how far apart they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mogabench.measure.trust import is_rough
from mogabench.paper import (
    SCALE,
    TIMED,
    UNITS,
    cell_meta,
    cell_subject,
    decimals,
    printed_value,
)
from mogabench.records import Kind, is_stale
from mogabench.tables.commands import command_for, timing_command
from mogabench.tables.costs import cost, derive
from mogabench.tables.measurable import COSTS, is_buildable, metrics_of, obstacle, unit_of
from mogabench.tables.qualities import find_quality
from mogabench.tables.timed import is_gpu
from mogabench.tables.verdict import Status, agrees, gives, is_close, judge_quality, rounds_to
from mogabench.variants import variant_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mogabench.engine.task import Metric
    from mogabench.paper import Column, CountingSource, Derivation, Erratum, Meta, PaperTable, Row
    from mogabench.records import Record, Store
    from mogabench.subject import Subject
    from mogabench.tables.timed import Timings


_OFF = (Status.BELOW, Status.ABOVE)
"""How a quality stands that is not the printed one."""


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
        plotted: What plots show in place of the measured number; None for most.
        counts: The measured operations by each convention, in the unit; empty for other figures.
        records: What the measured number was read from.
        dataset: What the quality is measured on; empty for the task's own data set.
        like: The printed text whose digits and unit a measured number is shown with: the cell's
            own or, of a user's row, that of the row that it stands beside.
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
    plotted: float | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    dataset: str = ""
    like: str = ""

    @property
    def difference(self) -> float | None:
        """The relative difference of measured from printed, or None."""
        if self.paper is None or self.measured is None or not self.paper:
            return None
        return self.measured / self.paper - 1

    @property
    def is_rough(self) -> bool:
        """Whether it shows a speed that may be off by more than 5 %."""
        return self.column.metric == "fps" and any(map(is_rough, self.records))

    def in_unit(self, figure: float, unit: str) -> float:
        """One of the cell's figures in another unit, such as ``G``; as it is without a scale."""
        return figure * SCALE[self.unit] / SCALE[unit] if self.unit in SCALE else figure


def join_cell(
    table: PaperTable, row: Row, column: Column, store: Store, timings: Timings | None
) -> Cell:
    """Joins a cell of a table with the records; a user's own row has no printed text.

    Args:
        table: The table.
        row: A row of it.
        column: A column of it.
        store: The records.
        timings: What the column shows, where it is one of timings.
    """
    printed = row.cells.get(column.head, "")
    known = table.erratum(row, column)
    cell = Cell(column, printed, printed_value(printed), erratum=_reason(known))
    subject = cell_subject(row, column)
    has_figure = cell.paper is not None or row.added or not column.is_printed
    if column.metric is None or subject is None or not has_figure:
        return cell
    if row.added and not is_buildable(subject):  # such as a backbone in a column of translators
        return cell
    model = row.beside or row
    like = model.cells.get(column.head, "")
    unit = unit_of(like, column, subject)
    if unit is None:
        return cell
    meta = cell_meta(row, column)
    cell = replace(cell, unit=unit, subject=subject, dataset=meta.dataset, like=like)
    if column.metric in COSTS:
        # Who counted the rows that a user's own stands beside counted it as well.
        counted = table.paper.counting_source(cell_meta(model, column))
        joined = _join_cost(cell, meta, known, counted, store, tolerant=not table.notes.by_digits)
    elif timings is not None:
        joined = _join_timing(cell, subject, table.paper.about.gpu, timings)
    elif table.paper.is_default and not meta.recipe and variant_of(subject.backbone):
        joined = cell  # a MogaNet that its paper trained in a way that no recipe here has
    else:
        joined = _join_quality(cell, meta, subject, known, store)
    if joined.measured is None:
        status = Status.NOT_MEASURED if column.is_printed else None
        command = None if obstacle(table, row, column) else command_of(subject, meta, column)
        return replace(joined, status=status, command=command)
    return joined


def _reason(known: Erratum | None) -> str:
    if known is None:
        return ""
    reason = known.reason.rstrip(".")
    return f"{reason} ({known.source})" if known.source else reason


def _join_cost(
    cell: Cell,
    meta: Meta,
    known: Erratum | None,
    counted: CountingSource | None,
    store: Store,
    *,
    tolerant: bool,
) -> Cell:
    scale = SCALE[cell.unit]
    metric = cell.column.metric or ""
    if metric == "operations":
        if cell.column.convention:
            cell = replace(cell, convention=cell.column.convention)
        elif counted is None:
            return cell
        else:
            cell = replace(cell, convention=counted.convention, counted_by=counted.source)
    found = cost(meta, metric, cell.convention, store)
    if found is None:
        return cell
    cell = replace(
        cell,
        measured=found.value / scale,
        counts={name: value / scale for name, value in found.by_convention.items()},
        records=found.records,
        caveat=_caveat(found.records, metric),
    )
    return _judge_cost(cell, meta, known, store, tolerant=tolerant)


def _caveat(records: tuple[Record, ...], metric: str, *others: str) -> str:
    """The records' notes, whether other code made them, and what else there is to say."""
    notes = [
        note
        for record in records
        for note in record.notes
        if metric != "fps" or not note.startswith(TIMED["memory"])
    ]
    return "; ".join(dict.fromkeys([*notes, *_age(records), *others]))


def _age(records: tuple[Record, ...]) -> list[str]:
    return ["made by other code than this version's"] * any(map(is_stale, records))


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
        (derivation, derive(derivation, meta, metric, cell.convention, store))
        for derivation in known.derivations
    ]
    texts = [_account(derivation, value, cell) for derivation, value in derived]
    proven = known.should_be is not None or known.printed_is is not None
    if known.should_be is not None:
        proven &= agrees(known.should_be, measured, metric, tolerant=tolerant)
    plotted = None
    if known.printed_is is not None:
        value = derived[0][1]
        scaled = None if value is None else value / SCALE[cell.unit]
        proven &= scaled is not None and gives(
            known.printed_is, scaled, cell.printed, metric, tolerant=tolerant
        )
        plotted = scaled if proven and known.printed_is.in_plots else None
    return replace(
        cell,
        status=Status.KNOWN_REASON if proven else Status.UNEXPLAINED,
        account="; ".join(texts),
        plotted=plotted,
    )


def _account(derivation: Derivation, value: float | None, cell: Cell) -> str:
    """A derivation with what it comes to, such as ``with windows of 7: 267.63``."""
    if value is None:
        return f"{derivation.text}: not measured"
    scaled = value / SCALE[cell.unit]
    digits = decimals(cell.printed) + 2
    return f"{derivation.text}: {scaled:.{digits}f}"


def _join_timing(cell: Cell, subject: Subject, gpu: str, timings: Timings) -> Cell:
    """On another device than the paper's nothing is compared."""
    metric = cell.column.metric or ""
    record = timings.records.get(subject.key)
    if record is None:
        return replace(cell, caveat=timings.left_out.get(subject.key, ""))
    measured = record.values[TIMED[metric]].value / UNITS[metric][cell.unit]
    cell = replace(cell, measured=measured, records=(record,))
    if cell.paper is None:  # other notes, as on how memory is measured, would stand at every cell
        return replace(cell, caveat=timing_caveat(record, metric))
    where = record.provenance
    if not is_gpu(gpu, where.device):
        device = f"measured with batch {where.batch_size} on {where.device}"
        printed = f"printed for a {gpu or 'device that is not named'}"
        caveat = _caveat((record,), metric, f"{device}, {printed}")
        return replace(cell, status=Status.OTHER_DEVICE, caveat=caveat)
    status = Status.ROUNDS if rounds_to(cell.printed, measured) else Status.UNEXPLAINED
    return replace(cell, status=status, caveat=_caveat((record,), metric))


def timing_caveat(record: Record, metric: str) -> str:
    """What speaks against a figure of a timing, beside the record's notes; empty for most."""
    rough = ["the speed may be off by more than 5 %"] * (metric == "fps" and is_rough(record))
    return "; ".join([*_age((record,)), *rough])


def _join_quality(
    cell: Cell, meta: Meta, subject: Subject, known: Erratum | None, store: Store
) -> Cell:
    """A quality must be of the paper's data, and of weights trained as the row's were."""
    record, left_out = find_quality(meta, subject, cell.column.metric or "", store)
    if record is None:
        return replace(cell, caveat=left_out)
    quantity = record.values[cell.column.metric or ""]
    is_share = (quantity.unit, cell.unit) == ("1", "%")  # Table 7 prints SSIM so
    value = 100 * quantity.value if is_share else quantity.value
    cell = replace(cell, measured=value, records=(record,), caveat="; ".join(record.notes))
    if cell.paper is None:
        return cell
    samples = record.provenance.data.samples if record.provenance.data else 0
    metric = metrics_of(subject)[cell.column.metric or ""]
    status = _judge_quality(cell.printed, value, metric, samples)
    if status in _OFF and known is not None and known.should_be is not None:
        meant = _judge_quality(known.should_be, value, metric, samples)
        status = status if meant in _OFF else Status.KNOWN_REASON
    return replace(cell, status=status)


def _judge_quality(printed: str, value: float, metric: Metric, samples: int) -> Status:
    paper = printed_value(printed)
    assert paper is not None  # as of every figure, and of what ought to be printed in its place
    noise = metric.noise(paper, samples) if metric.noise and samples else None
    return judge_quality(printed, value, noise, lower_is_better=metric.lower_is_better)


def command_of(subject: Subject, meta: Meta, column: Column) -> str | None:
    """What would measure a cell, also where it is measured."""
    if column.metric in TIMED:
        return timing_command(subject, column)
    return command_for(
        subject,
        Kind.COMPLEXITY if column.metric in COSTS else Kind.QUALITY,
        recipe=meta.recipe or None,
        settings=meta.settings,
        pretraining=meta.pretraining,
        dataset=meta.dataset,
    )

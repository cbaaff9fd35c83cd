"""Trainings that differ in network and seed alone: means and standard deviations over the seeds."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mogabench.paper import cell_meta, get_paper, printed_value
from mogabench.tables.grid import MISSING
from mogabench.tasks import get_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mogabench.paper import PaperTable
    from mogabench.records import Record
    from mogabench.subject import OptionValue


@dataclass(frozen=True)
class Series:
    """Trainings by one recipe from one start, on the same data in the same arithmetic.

    Attributes:
        by_network: The record of each seed, by the network's name, after which come the options
            that not all have.
        options: Those of all networks, as text.
    """

    by_network: Mapping[str, Sequence[Record]]
    options: str

    @property
    def first(self) -> Record:
        """One of the records; what it says of the set-up is true of all."""
        return next(iter(self.by_network.values()))[0]


@dataclass(frozen=True)
class PrintedColumn:
    """A column of the paper: its metric, and the printed texts by network."""

    head: str
    metric: str
    texts: Mapping[str, str]


def split_series(trainings: Sequence[Record]) -> tuple[list[Series], list[Record]]:
    """Groups trainings that differ in network and seed alone.

    Args:
        trainings: Records, each with its training.

    Returns:
        The groups in which a network has several seeds, and the trainings that are in none.
    """
    groups: dict[str, dict[str, list[Record]]] = {}
    for record in trainings:
        by_subject = groups.setdefault(set_up(record), {})
        by_subject.setdefault(record.subject.key, []).append(record)
    series = [
        _series(list(by_subject.values()))
        for by_subject in groups.values()
        if any(len(records) > 1 for records in by_subject.values())
    ]
    grouped = {id(r) for one in series for records in one.by_network.values() for r in records}
    return series, [record for record in trainings if id(record) not in grouped]


def _series(networks: list[list[Record]]) -> Series:
    """The trainings of some networks, each with its seeds."""
    options = [set(records[0].subject.options) for records in networks]
    shared = set.intersection(*options)
    by_network = {}
    for records, own in zip(networks, options, strict=True):
        text = _options_text(own - shared)
        by_network[records[0].subject.backbone + f" {text}" * bool(text)] = records
    return Series(by_network, _options_text(shared))


def _options_text(options: Iterable[tuple[str, OptionValue]]) -> str:
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(options))


def set_up(record: Record) -> str:
    """What the trainings of a series share, as text to compare."""
    subject, where = record.subject, record.provenance
    shared = (
        *(subject.task, subject.method, subject.input_size),
        *(where.recipe, where.recipe_changes, where.training, where.data),
        *(where.initial_weights, where.amp, sorted(record.values)),
    )
    return repr(shared)


def render_series(series: Series) -> Iterator[str]:
    """A table in Markdown: a row for each network, in the order of the first printed column."""
    task = get_task(series.first.subject.task)
    metrics = [metric for metric in task.metrics if metric.name in series.first.values]
    columns = _printed_columns(series)
    heads = [task.backbone_word, "seeds", *(metric.label for metric in metrics)]
    heads += [f"printed: {column.head}" for column in columns]
    yield f"| {' | '.join(heads)} |"
    yield f"| :--- |{' ---: |' * (len(heads) - 1)}"
    for network in _in_printed_order(series, columns):
        records = series.by_network[network]
        cells = [network, str(len(records))]
        cells += [spread([r.values[metric.name].value for r in records]) for metric in metrics]
        cells += [column.texts.get(network, MISSING) for column in columns]
        yield f"| {' | '.join(cells)} |"


def spread(values: Sequence[float]) -> str:
    """The mean and, of several values, the sample's standard deviation: ``12.34 ± 0.12``.

    The deviation has two digits, and the mean has its decimals.
    """
    mean = statistics.fmean(values)
    deviation = float(f"{statistics.stdev(values):.1e}") if len(values) > 1 else 0.0
    if not deviation:
        return f"{mean:.4g}" + " ± 0" * (len(values) > 1)
    decimals = max(0, 1 - math.floor(math.log10(deviation)))
    return f"{mean:.{decimals}f} ± {deviation:.{decimals}f}"


def _in_printed_order(series: Series, columns: Sequence[PrintedColumn]) -> list[str]:
    """The networks by the first printed column, then those that it has not."""
    printed = columns[0].texts if columns else {}

    def place(network: str) -> tuple[bool, float]:
        return network not in printed, float(printed.get(network, 0))

    return sorted(series.by_network, key=place)


def correlations(series: Series) -> Iterator[str]:
    """How far the means order the networks as the printed figures do, a line for each column."""
    from scipy.stats import spearmanr

    for column in _printed_columns(series):
        shared = [network for network in series.by_network if network in column.texts]
        if len(shared) > 2:
            printed = [float(column.texts[network]) for network in shared]
            means = [
                statistics.fmean(r.values[column.metric].value for r in series.by_network[network])
                for network in shared
            ]
            yield (
                f"{column.head}: the printed and the measured order of {len(shared)} networks "
                f"have a rank correlation (Spearman's) of {spearmanr(printed, means).statistic:.2f}"
            )


def _printed_columns(series: Series) -> list[PrintedColumn]:
    """What the paper prints of the same metrics, in the table that has most of the networks.

    Nothing where all have options, which makes them other networks than the printed ones, and
    nothing for one network, which has no order.
    """
    if series.options:
        return []
    by_table = [list(_columns_of(series, table)) for table in get_paper().tables()]
    return max(by_table, key=lambda columns: max((len(c.texts) for c in columns), default=0))


def _columns_of(series: Series, table: PaperTable) -> Iterator[PrintedColumn]:
    subject = series.first.subject
    for column in table.columns:
        if column.metric not in series.first.values:
            continue
        texts = {}
        for row in table.rows:
            meta, text = cell_meta(row, column), row.cells.get(column.head, "")
            is_of_series = meta.backbone in series.by_network and printed_value(text) is not None
            if is_of_series and (meta.task, meta.method) == (subject.task, subject.method):
                texts[meta.backbone] = text
        if len(texts) > 1:
            yield PrintedColumn(f"{table.name}, {column.head}", column.metric, texts)

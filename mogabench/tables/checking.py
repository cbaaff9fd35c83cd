"""What of a paper's tables will be measured, what will not, and why."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from mogabench.errors import UserError
from mogabench.paper import TABLE_NAME, TIMED, cell_meta, cell_subject, printed_value
from mogabench.tables.commands import paper_timing_command
from mogabench.tables.costs import needed_subjects
from mogabench.tables.measurable import COSTS, is_buildable, obstacle
from mogabench.tasks import tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mogabench.paper import Column, Paper, PaperTable, Row
    from mogabench.subject import Subject

_MOST = 3
"""Rows that are named for a reason; the others are counted."""


def check_table(table: PaperTable) -> list[tuple[str, str]]:
    """What there is to say of a table, each with its heading, in reading order."""
    done: defaultdict[tuple[str, str], defaultdict[str, int]]
    done = defaultdict(lambda: defaultdict(int))
    reasons: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    refusal = cache(_refusal)  # cells share networks
    for row in table.rows:
        for column in table.columns:
            has_figure = _has_figure(row, column)
            reason = obstacle(table, row, column, suggest=True)
            if has_figure and not reason:
                reason = next(filter(None, map(refusal, _with_options(row, column))), "")
            if reason:
                reasons[reason][column.head].append(row.label)
            elif has_figure and column.metric is not None:
                done[_how(table, row, column)][column.head] += 1
    texts = [column.head for column in table.columns if column.metric is None]
    return [
        ("table", f"{table.id}. {table.title}: {len(table.rows)} rows"),
        *_possible_mistakes(table),
        *((how, _heads(by_head.items()) + by) for (how, by), by_head in done.items()),
        *(("not measured", f"{_cells(found)}: {why}") for why, found in reasons.items()),
        *([("text", ", ".join(texts))] if texts else []),
        *(("errata", f"{len(known)} cells") for known in [table.paper.errata(table.id)] if known),
    ]


def file_problems(paper: Paper) -> list[str]:
    """What is wrong with each file that is no table's, and with names of files."""
    from mogabench.paper import ablations, paper_figures

    found = [f"{path}: is not a table's name, which is {TABLE_NAME}" for path in paper.misnamed]
    files: tuple[Callable[[Paper], object], ...] = (
        lambda paper: paper.vocabulary,
        lambda paper: paper.counting_sources,
        paper_figures,
        ablations,
    )
    for read in files:
        try:
            read(paper)
        except UserError as error:
            found.append(str(error))
    return found


def _possible_mistakes(table: PaperTable) -> Iterator[tuple[str, str]]:
    """What may be a mistake of the file, and may be as printed."""
    label, first = table.paper.vocabulary.label, table.columns[0].head
    if label and label not in (column.head for column in table.columns):
        yield "rows named by", f"'{first}', the first column, as there is no '{label}'"
    twice = [
        row.label
        for row in table.rows
        if any(replace(row, index=other.index) == other for other in table.rows[: row.index])
    ]
    if twice:
        yield "duplicate rows", ", ".join(twice)


def _has_figure(row: Row, column: Column) -> bool:
    has_number = not column.is_printed or printed_value(row.cells[column.head]) is not None
    return column.metric is not None and has_number


def _with_options(row: Row, column: Column) -> Iterator[Subject]:
    """The networks of a cell that have options, which they may not take."""
    if cell_subject(row, column) is not None:
        subjects = needed_subjects(cell_meta(row, column), ())
        yield from (one for one in subjects if one.options and is_buildable(one))


def _refusal(subject: Subject) -> str:
    """Why a network is not built with its options; empty where it is."""
    import torch

    from mogabench.measure.meta import SkipInitialisation

    try:
        with torch.device("meta"), SkipInitialisation():
            tasks()[subject.task].build(subject)
    except UserError as error:
        return str(error)
    except Exception as error:  # a network may refuse an option in any way
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def _how(table: PaperTable, row: Row, column: Column) -> tuple[str, str]:
    """What brings a figure: counting, timing, or an evaluation on data; and by which command."""
    subject = cell_subject(row, column)
    assert subject is not None  # as of every cell that nothing is in the way of
    if column.metric in COSTS:
        return "counted", ""
    if column.metric in TIMED:
        return "timed", f", by '{paper_timing_command(table.paper, subject.task, column)}'"
    data = tasks()[subject.task].data_of(subject, cell_meta(row, column).dataset)
    return f"needs {data or 'data'}", ""


def _heads(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{head} ({count})" for head, count in counts)


def _cells(by_head: Mapping[str, list[str]]) -> str:
    """Cells as ``Params, FLOPs of ViT, VAN``: the heads that lack the same rows together."""
    by_rows: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for head, rows in by_head.items():
        by_rows[tuple(rows)].append(head)
    return "; ".join(f"{', '.join(heads)} of {_listed(rows)}" for rows, heads in by_rows.items())


def _listed(rows: tuple[str, ...]) -> str:
    rest = len(rows) - _MOST
    return ", ".join(rows[:_MOST]) + (f" and {rest} more" if rest > 0 else "")

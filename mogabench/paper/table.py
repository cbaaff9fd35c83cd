"""The tables: CSV files in, rows and columns out."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

from mogabench.errors import UserError
from mogabench.paper.meta import META, Meta, parse_field
from mogabench.paper.numbers import printed_size
from mogabench.paper.reading import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mogabench.paper.errata import Erratum, TableErrata
    from mogabench.paper.paper import Paper
    from mogabench.paper.vocabulary import Column
    from mogabench.subject import Subject


@dataclass(frozen=True)
class Row:
    """A row of a printed table.

    Attributes:
        index: Its place in the table's body, from 0.
        label: The printed name of the row, as the vocabulary says which column has it.
        meta: What it is about.
        cells: The printed text, by the column's head.
        beside: The paper's row by whose set-up a user's own is measured; None in the paper.
    """

    index: int
    label: str
    meta: Meta
    cells: Mapping[str, str]
    beside: Row | None = None

    @property
    def added(self) -> bool:
        """Whether it is a user's own, not the paper's."""
        return self.beside is not None


@dataclass(frozen=True)
class PaperTable:
    """A printed table: ``A15``, its short title, its printed columns and its body, of a paper."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    paper: Paper

    @property
    def name(self) -> str:
        """What a reader calls it: ``Table A15``, in another paper ``Table 1 of ConvNeXt``."""
        return f"Table {self.id}" + (
            "" if self.paper.is_default else f" of {self.paper.about.name}"
        )

    @property
    def label_place(self) -> int:
        """The place of the column that names the rows."""
        heads = [column.head for column in self.columns]
        label = self.paper.vocabulary.label
        return heads.index(label) if label in heads else 0

    @property
    def notes(self) -> TableErrata:
        """What is to be known of the whole table."""
        return self.paper.notes(self.id)

    def erratum(self, row: Row, column: Column) -> Erratum | None:
        """What is known to be wrong with a cell, or None."""
        return self.paper.errata(self.id).get((row.index, column.head))


def places_of(name: str, labels: Sequence[str]) -> list[int]:
    """Where rows of that label are; ``label #2`` is the second of them where no label is so."""
    label, mark, number = name.rpartition(" #")
    is_one = bool(mark) and number.isdecimal() and name not in labels
    found = [place for place, other in enumerate(labels) if other == (label if is_one else name)]
    return found[int(number) - 1 : int(number)] if is_one else found


def cell_meta(row: Row, column: Column) -> Meta:
    """What a cell is about: its row's meta, but for what its column says."""
    meta = replace(row.meta, **column.overrides)
    size = row.cells.get(column.size_column or "")
    return replace(
        meta,
        backbone=column.backbones.get(meta.backbone, meta.backbone),
        input_size=printed_size(size) if size else meta.input_size,
        options={**meta.options, **column.options},
        settings={**meta.settings, **column.settings},
    )


def cell_subject(row: Row, column: Column) -> Subject | None:
    """What a cell's number was measured on.

    Returns:
        None for a descriptive cell, and for a row that names no network.
    """
    meta = cell_meta(row, column)
    return subject_of(meta) if _has_subject(meta, column) else None


def _has_subject(meta: Meta, column: Column) -> bool:
    return bool(column.metric and meta.task and meta.backbone)


def subject_of(
    meta: Meta, *, part: str | None = None, form: Literal["inference"] | None = None
) -> Subject:
    """The subject that a meta describes.

    Args:
        meta: The meta; it names a task and a backbone.
        part: The modules that alone are counted; None for the whole network.
        form: As in `mogabench.subject.Subject`.
    """
    from mogabench.subject import Subject

    return Subject(
        task=meta.task,
        method=meta.method,
        backbone=meta.backbone,
        input_size=meta.input_size,
        options=dict(meta.options),  # type: ignore[arg-type]  # its validator sorts them
        part=part,
        form=form,
    )


def read_table(path: Path, table_id: str, title: str, paper: Paper) -> PaperTable:
    """Reads a table's file.

    Raises:
        UserError: It is malformed; the message has the line and the column.
    """
    vocabulary = paper.vocabulary  # before what can be wrong with this file
    lines = _lines(path)
    number, heads = lines[0]
    about = list(takewhile(lambda head: head in META, heads))
    if len(about) == len(heads):
        raise UserError(f"{path}, line {number}: no printed column after {','.join(heads)}")
    columns = []
    for place, head in enumerate(heads):
        try:
            if head in heads[:place]:
                raise UserError(f"'{head}' appears twice")
            if place < len(about):
                continue
            if head in META:
                raise UserError(f"'{head}' comes after a printed column")
            column = vocabulary.column(head)
            if column.size_column is not None and column.size_column not in heads:
                raise UserError(
                    f"'{head}' has its size in '{column.size_column}', which is not there"
                )
            columns.append(column)
        except UserError as error:
            raise UserError(f"{path}, line {number}, column {place + 1}: {error}") from error
    measured = vocabulary.measured_columns
    for column in measured:
        if column.head in heads:
            raise UserError(
                f"{path}, line {number}: '{column.head}' is a column of 'measured' in "
                "vocabulary.yaml as well: give one of them another head"
            )
    table = PaperTable(table_id, title, (*columns, *measured), (), paper)
    rows = [
        _row(index, line, about, table, f"{path}, line {number}")
        for index, (number, line) in enumerate(lines[1:])
    ]
    return replace(table, rows=tuple(rows))


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The lines of the file with their numbers, all of them as long as the first."""
    text = read_text(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[tuple[int, list[str]]] = []
    done = 0
    try:
        for line in reader:
            done = reader.line_num
            if line:
                lines.append((reader.line_num, line))
                _check_length(f"{path}, line {reader.line_num}", line, lines[0][1])
    except csv.Error as error:
        is_open = "unexpected end" in str(error)
        reason = "the quote is not closed" if is_open else str(error)
        raise UserError(f"{path}, {_place_of_error(text, done)}: {reason}") from error
    if not lines:
        raise UserError(f"{path}, line 1, column 1: is empty; its first line must have the heads")
    return lines


_WHOLE_CELL = re.compile(r'(?:"(?:[^"]|"")*"|[^",\r\n]*),')


def _place_of_error(text: str, done: int) -> str:
    """The line and the column of the first cell that is malformed, behind lines without one."""
    rest = "".join(list(io.StringIO(text, newline=""))[done:])
    column, start = 1, 0
    while cell := _WHOLE_CELL.match(rest, start):
        column, start = column + 1, cell.end()
    before = list(io.StringIO(rest[:start] + "|", newline=""))  # the last line is the cell's
    return f"line {done + len(before)}, column {column}"


def _check_length(where: str, line: list[str], heads: list[str]) -> None:
    if len(heads) == 1:
        raise UserError(f"{where}, column 1: there is one head; separate the cells by commas")
    if len(line) != len(heads):
        least = min(len(line), len(heads))
        raise UserError(
            f"{where}, column {least + 1}: the line has {len(line)} cells, and must have "
            f"{len(heads)} as the first"
        )


def _row(index: int, line: list[str], about: list[str], table: PaperTable, where: str) -> Row:
    """A row of the table; the first cells say what it is about."""
    values = {}
    for place, (name, text) in enumerate(zip(about, line, strict=False), 1):
        try:
            values[name] = parse_field(name, text)
        except ValueError as error:
            raise UserError(f"{where}, column {place} ({name}): {error}") from error
    printed = line[len(about) :]
    printed += [""] * (len(table.columns) - len(printed))  # of the columns that are measured only
    cells = {column.head: text for column, text in zip(table.columns, printed, strict=True)}
    row = Row(index, printed[table.label_place], Meta(**values), cells)
    for place, column in enumerate(table.columns, len(about) + 1):
        try:
            meta = cell_meta(row, column)
            if _has_subject(meta, column) and not meta.input_size:
                raise ValueError("the row names no size: a column 'input_size' must have it")
        except ValueError as error:  # also of the size that another column has
            raise UserError(f"{where}, column {place}: {error}") from error
    return row

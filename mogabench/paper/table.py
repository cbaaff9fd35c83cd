"""The tables: CSV files in, rows and columns out."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mogabench.errors import UserError, unknown
from mogabench.paper.meta import META, Meta, parse_meta
from mogabench.paper.numbers import printed_size
from mogabench.paper.vocabulary import Column, column_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mogabench.subject import Subject

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """A row of a printed table.

    Attributes:
        index: Its place in the table's body, from 0.
        label: The printed architecture, or the first printed cell where no column is called so.
        meta: What it is about.
        cells: The printed text, by the column's head.
    """

    index: int
    label: str
    meta: Meta
    cells: Mapping[str, str]


@dataclass(frozen=True)
class PaperTable:
    """A printed table: ``A15``, its short title, its printed columns and its body."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def places_of(name: str, labels: Sequence[str]) -> list[int]:
    """Where rows of that label are; ``label #2`` is the second of them."""
    label, _, number = name.partition(" #")
    found = [place for place, other in enumerate(labels) if other == label]
    return found[int(number) - 1 : int(number)] if number.isdigit() else found


def table_ids() -> tuple[str, ...]:
    """The tables' names in the paper's order: 1 to 7, then A1 to A15."""
    return tuple(_files())


def load_table(table_id: str) -> PaperTable:
    """The table of that name, written ``A15`` or ``a15``.

    Raises:
        UserError: There is no such table, its file is malformed, or a head of it is unknown.
    """
    if table_id.upper() not in _files():
        raise unknown("table", table_id, table_ids())
    return _read(table_id.upper())


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
    if column.metric is None or not (meta.task and meta.backbone):
        return None
    return subject_of(meta)


def subject_of(meta: Meta, *, part: str | None = None) -> Subject:
    """The subject that a meta describes.

    Args:
        meta: The meta; it names a task and a backbone.
        part: The modules that alone are counted; None for the whole network.
    """
    from mogabench.subject import Subject

    return Subject(
        task=meta.task,
        method=meta.method,
        backbone=meta.backbone,
        input_size=meta.input_size,
        options=dict(meta.options),  # type: ignore[arg-type]  # its validator sorts them
        part=part,
    )


@cache
def _files() -> dict[str, Path]:
    paths = FOLDER.glob("table_*_*.csv")
    by_id = {path.stem.split("_", 2)[1]: path for path in paths}
    return dict(sorted(by_id.items(), key=lambda item: (not item[0].isdigit(), _number(item[0]))))


def _number(table_id: str) -> int:
    return int(table_id.removeprefix("A"))


@cache
def _read(table_id: str) -> PaperTable:
    path = _files()[table_id]
    with path.open(encoding="utf-8", newline="") as file:
        head, *body = csv.reader(file)
    if tuple(head[: len(META)]) != META or {len(line) for line in body} - {len(head)}:
        raise UserError(
            f"{path.name}: the first line must begin with {','.join(META)}, and every other line "
            f"must have its {len(head)} cells"
        )
    heads = head[len(META) :]
    rows = []
    for index, line in enumerate(body):
        cells = dict(zip(heads, line[len(META) :], strict=True))
        label = cells.get("Architecture", line[len(META)])
        try:
            meta = Meta(**parse_meta(dict(zip(META, line, strict=False))))
        except ValueError as error:
            raise UserError(f"{path.name}, line {index + 2} ({label}): {error}") from error
        rows.append(Row(index, label, meta, cells))
    title = path.stem.split("_", 2)[2].replace("_", " ")
    return PaperTable(table_id, title, tuple(map(column_of, heads)), tuple(rows))

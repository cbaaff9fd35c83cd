"""The tables: CSV files in, rows and columns out."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mogabench.errors import UserError, unknown
from mogabench.paper.vocabulary import Column, column_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mogabench.subject import Subject

META = (
    "task",
    "method",
    "backbone",
    "input_size",
    "pretraining",
    "convention",
    "recipe",
    "options",
)
"""The columns of every file that say what a row is about; all others are printed ones."""

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """A row of a printed table.

    Attributes:
        index: Its place in the table's body, from 0.
        label: The printed architecture, or the first printed cell where no column is called so.
        meta: What it is about, by the names in `META`; empty where a cell's column says it.
        cells: The printed text, by the column's head.
    """

    index: int
    label: str
    meta: Mapping[str, str]
    cells: Mapping[str, str]


@dataclass(frozen=True)
class PaperTable:
    """A printed table: ``A15``, its short title, its printed columns and its body."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def table_ids() -> tuple[str, ...]:
    """The tables' names in the paper's order: 1 to 7, then A1 to A15."""
    return tuple(_files())


def load_table(table_id: str) -> PaperTable:
    """The table of that name, written ``A15`` or ``a15``.

    Raises:
        UserError: There is no such table, its file is malformed, or the vocabulary lacks a head.
    """
    if table_id.upper() not in _files():
        raise unknown("table", table_id, table_ids())
    return _read(table_id.upper())


def cell_subject(row: Row, column: Column) -> Subject | None:
    """What a cell's number was measured on.

    Returns:
        None for a descriptive cell, and for a row that names no network.
    """
    from mogabench.subject import Subject, parse_size

    said = column.overrides
    about = dict(row.meta) | {name: said[name] for name in META if name in said}
    if column.metric is None or not (about["task"] and about["backbone"]):
        return None
    size = row.cells.get(said.get("input_size_from", ""), about["input_size"])
    return Subject(
        task=about["task"],
        method=about["method"],
        backbone=said.get("backbones", {}).get(about["backbone"], about["backbone"]),
        input_size=parse_size(size.removesuffix("²")),
        options=json.loads(row.meta["options"] or "{}") | said.get("options", {}),
    )


def cell_recipe(row: Row, column: Column) -> str:
    """The training set-up behind a cell's number; empty where this project does not have it."""
    recipe: str = column.overrides.get("recipe", row.meta["recipe"])
    return recipe


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
        rows.append(Row(index, label, dict(zip(META, line, strict=False)), cells))
    title = path.stem.split("_", 2)[2].replace("_", " ")
    return PaperTable(table_id, title, tuple(map(column_of, heads)), tuple(rows))

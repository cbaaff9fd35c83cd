"""Figures that another source published, in timm's CSV columns, as columns of their own in a table.

timm publishes ``results/results-imagenet*.csv``, accuracies of weights, and
``results/benchmark-infer-*.csv`` and ``benchmark-train-*.csv``, which ``mogabench profile --format
csv`` writes as well. Such figures are shown as they are written, below the source's name, and are
never records: nothing is compared with them, and no plot or count takes them.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mogabench.errors import UserError
from mogabench.paper import Column
from mogabench.paper.reading import read_text
from mogabench.tables.cells import Cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mogabench.paper import Meta
    from mogabench.tables.join import JoinedTable

HEADS = {
    "top1": "Top-1 (%)",
    "infer_samples_per_sec": "img/s",
    "infer_gmacs": "GMACs",
    "infer_macts": "Activations (M)",
    "train_samples_per_sec": "trained img/s",
}
"""What is shown of a file: timm's columns, with their heads in a table."""

_MOST = 3
"""Sets of weights that a cell shows."""

_IN21K = {"in21k", "in22k"}
_MORE_THAN_IN1K = {"in12k", "jft", "ssld", "swag", *_IN21K}
"""Words of timm's tags, such as ``ns_jft_in1k``, that say that there were more images."""

_MASKED = {"mae", "fcmae"}
"""Words for training on masked images, which are ImageNet-1K's where no other data set is named."""

_SIZES = ("img_size", "infer_img_size", "train_img_size")


@dataclass(frozen=True)
class Source:
    """What a file publishes.

    Attributes:
        name: What the figures are labelled with.
        columns: Those of `HEADS` that the file has.
        figures: The texts of each column for a network and its input size, by the tag of the
            weights, which is empty where the file names none.
    """

    name: str
    columns: tuple[str, ...]
    figures: Mapping[tuple[str, tuple[int, ...]], Mapping[str, tuple[str, ...]]]

    def text(self, meta: Meta, column: str) -> str:
        """A cell: the figure, or each with its tag where there are several sets of weights.

        Weights of another pretraining than the row's are left out; of many, the first are shown.
        """
        if meta.task != "classification" or meta.options:
            return ""
        backbone, _, weights = meta.backbone.partition(".")
        found = self.figures.get((backbone, meta.input_size), {})
        place = self.columns.index(column)
        texts = [
            f"{figures[place]} {tag * (len(found) > 1)}".rstrip()
            for tag, figures in found.items()
            if figures[place] and weights in ("", tag) and _begins_as(tag, meta.pretraining)
        ]
        more = len(texts) - _MOST
        return ", ".join([*texts[:_MOST], *[f"and {more} more"] * (more > 0)])


def read_source(name: str, path: Path) -> Source:
    """Reads a file of timm's columns.

    Args:
        name: What its figures are to be labelled with.
        path: The file.

    Raises:
        UserError: It cannot be read, lacks a column, has a text where a number has to be, or says
            two things of the same weights and size.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    found: dict[tuple[str, tuple[int, ...]], dict[str, tuple[str, ...]]] = {}
    try:
        given = reader.fieldnames or ()
        columns = tuple(column for column in HEADS if column in given)
        size_column = next((column for column in _SIZES if column in given), "")
        if "model" not in given or not size_column or not columns:
            raise UserError(
                f"{path}: its first line must name model, one of {', '.join(_SIZES)}, and one of "
                f"{', '.join(HEADS)}, as timm's results/*.csv"
            )
        for line in reader:
            where = f"{path}, line {reader.line_num}"
            model, _, tag = (line["model"] or "").partition(".")
            size = _size(line[size_column], f"{where}, {size_column}")
            figures = tuple(_number(line[name], f"{where}, {name}") for name in columns)
            by_tag = found.setdefault((model, size), {})
            if by_tag.get(tag, figures) != figures:
                raise UserError(f"{where}: {line['model']} at {line[size_column]} appears twice")
            by_tag[tag] = figures
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}") from error
    return Source(name, columns, found)


def _begins_as(tag: str, pretraining: str) -> bool:
    """Whether weights are of the row's pretraining, as far as their tag and the row state it."""
    if not (tag and pretraining):
        return True
    words = set(tag.split("_"))
    if pretraining == "in21k":
        return bool(words & _IN21K)
    is_from_other_data = "ft" in words and not words & _MASKED  # fine-tuned, as fb_wsl_ig1b_ft_in1k
    return "in1k" in words and not is_from_other_data and not words & _MORE_THAN_IN1K


def _number(text: str | None, where: str) -> str:
    """The text of a number, which may have commas between its thousands, or be left out.

    Raises:
        UserError: It is none.
    """
    written = (text or "").strip()
    if written and not written.replace(",", "").replace(".", "", 1).isdecimal():
        raise UserError(f"{where}: '{written}' is not a number")
    return written


def _size(text: str | None, where: str) -> tuple[int, int]:
    height, _, width = (text or "").strip().partition("x")
    if not height.isdecimal() or not (width or height).isdecimal():
        raise UserError(f"{where}: '{text or ''}' is not a size, such as 224 or 192x256")
    return int(height), int(width or height)


def stand_beside(tables: Sequence[JoinedTable], sources: Sequence[Source]) -> list[JoinedTable]:
    """Adds the columns of sources behind those of the tables that they publish a figure for.

    Raises:
        UserError: A source has no figure for any row.
    """
    for source in sources:
        tables, before = [_with(table, source) for table in tables], tables
        if tables == before:
            size = "x".join(map(str, next(iter(source.figures), ("", ()))[1]))
            raise UserError(
                f"{source.name} publishes nothing of these tables' networks at their sizes and of "
                "their pretraining; it has "
                f"{len(source.figures)} classifiers"
                + (f", such as {next(iter(source.figures))[0]} at {size}" if size else "")
            )
    return list(tables)


def _with(table: JoinedTable, source: Source) -> JoinedTable:
    texts = {
        column: [source.text(row.row.meta, column) for row in table.rows]
        for column in source.columns
    }
    shown = [column for column, own in texts.items() if any(own)]
    columns = [Column(f"{source.name}: {HEADS[column]}") for column in shown]
    rows = [
        replace(
            row,
            cells=(
                *row.cells,
                *(
                    Cell(head, texts[name][number])
                    for head, name in zip(columns, shown, strict=True)
                ),
            ),
        )
        for number, row in enumerate(table.rows)
    ]
    if not shown:
        return table
    paper = replace(table.paper, columns=(*table.paper.columns, *columns))
    return replace(table, paper=paper, rows=tuple(rows))

"""The analyses' figures below the results, each with the numbers behind it."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from mogabench.errors import UserError
from mogabench.escaping import csv_field
from mogabench.files import slug, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mogabench.records import Record

FOLDER = "analyses"
"""The folder of figures, below the results."""

_LONGEST = 60


class Figure(NamedTuple):
    """A figure of an analysis.

    Attributes:
        name: Of its files, without ending.
        pictures: By ending, as of `mogabench.tables.plots.pictures`, which keeps the title in them.
        data: The numbers that it shows, as CSV.
    """

    name: str
    pictures: dict[str, bytes]
    data: str


def csv_text(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(heads)
    table.writerows([csv_field(item) for item in row] for row in rows)
    return text.getvalue()


def figure_name(analysis: str, words: Sequence[str], of: Iterable[str]) -> str:
    """The name of a figure: words, cut short, and a digest that no other figure has.

    Args:
        analysis: Of which the figure is one.
        words: The labels of what it shows, which may be those of other weights or data as well.
        of: What it shows, such as the `identity` of each record.
    """
    whole = slug(" ".join(words))
    digest = hashlib.sha256("\n".join([whole, *of]).encode()).hexdigest()
    return f"{analysis}_{whole[:_LONGEST]}-{digest[:8]}"


def identity(record: Record) -> str:
    """What a record was measured on: network, size, weights and data."""
    where = record.provenance
    return f"{record.subject.key} {where.weights} {where.data and where.data.digest}"


def write_figure(figure: Figure, results: Path) -> Path:
    """Writes a figure below the results, over one of its name.

    Returns:
        Its PNG.
    """
    files: dict[str, str | bytes] = {**figure.pictures, "csv": figure.data}
    for ending, content in files.items():
        write_whole(results / FOLDER / f"{figure.name}.{ending}", content)
    return results / FOLDER / f"{figure.name}.png"


def written_figures(results: Path) -> list[tuple[str, str]]:
    """The title of each figure, and the name of its files, from the results, without ending.

    A picture without a title is none that an analysis wrote.

    Raises:
        UserError: A picture cannot be read.
    """
    found = []
    for file in sorted((results / FOLDER).glob("*.png")):
        try:
            with Image.open(file) as picture:
                title = picture.info.get("Title")
        except OSError as error:
            raise UserError(f"cannot read the figure {file}") from error
        if title:
            found.append((title, f"{FOLDER}/{file.stem}"))
    return found

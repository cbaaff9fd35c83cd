"""The analyses' figures below the results, each with the numbers behind it."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from mogabench.escaping import csv_field
from mogabench.files import slug, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

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


def figure_name(analysis: str, networks: Sequence[str]) -> str:
    """The name of the figure of these networks; a digest stands for what would be too long."""
    whole = slug(" ".join(networks))
    if len(whole) > _LONGEST:
        whole = f"{whole[:_LONGEST]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
    return f"{analysis}_{whole}"


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
    """The title of each figure, and the name of its files, from the results, without ending."""
    found = []
    for file in sorted((results / FOLDER).glob("*.png")):
        with Image.open(file) as picture:
            found.append((picture.info["Title"], f"{FOLDER}/{file.stem}"))
    return found

"""What the heads of a paper's printed columns mean, read from its ``vocabulary.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError, unknown
from mogabench.paper.counting import CONVENTIONS
from mogabench.paper.meta import META, parse_meta
from mogabench.paper.numbers import SCALE
from mogabench.paper.reading import build, check_fields, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIMED = {"fps": "throughput", "memory": "peak_memory"}
"""The metrics that a timing gives, with the value of its record."""

UNITS: Mapping[str, Mapping[str, float]] = {
    **dict.fromkeys(("params", "operations", "activations"), SCALE),
    "fps": {"img/s": 1.0, "seq/s": 1.0},
    "memory": {"MB": 1e6, "GB": 1e9},
}
"""The metrics that are measured without data, with the units of their figures."""


@dataclass(frozen=True)
class Column:
    """A printed column.

    Attributes:
        head: The head as printed, ``Group: Column`` where it has two levels.
        metric: What its numbers are: a task's metric, ``params``, ``operations``, ``fps`` or
            ``memory`` (at its peak); None for a descriptive column.
        unit: The unit of the printed numbers that state none; None where it is the metric's own.
        overrides: Fields of the rows' `Meta` that are different for this column's cells.
        options: Keyword arguments of the backbone, added to the row's.
        settings: Settings of the recipe, added to the row's.
        backbones: The backbone of a cell by its row's, where the two are different.
        size_column: The head of the column that holds the cells' input size; None for the row's.
        convention: How its operations are counted; None for as the row's source counts.
        device: ``cpu`` for timings of one image at a time on one thread, ``cuda`` for those in
            bfloat16 and channels_last on a GPU; None for any in float32.
        runtime: What runs it for a timing; None for PyTorch.
        is_printed: Whether a source prints it; else its measured figures stand alone.
        is_minor: Whether it can be left out where there is little room.
    """

    head: str
    metric: str | None = None
    unit: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    backbones: Mapping[str, str] = field(default_factory=dict)
    size_column: str | None = None
    convention: str | None = None
    device: str | None = None
    runtime: str | None = None
    is_printed: bool = True
    is_minor: bool = False


@dataclass(frozen=True)
class Vocabulary:
    """The words of a paper's heads.

    Attributes:
        columns: The fields of `Column` by head.
        groups: The same by the first of two levels.
        measured: The same of columns that no source prints and that stand behind a table's own.
        descriptive: Heads without figures.
        set_up: Those of them that say by which method or at which size a row was measured.
        minor: Those of them that can be left out where there is little room.
        label: The head of the column that names the rows; in a table without it the first does.
    """

    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    measured: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    descriptive: tuple[str, ...] = ()
    set_up: tuple[str, ...] = ()
    minor: tuple[str, ...] = ()
    label: str = ""

    def column(self, head: str) -> Column:
        """Looks a printed head up.

        Raises:
            UserError: The vocabulary has neither the head nor its parts.
        """
        group, _, name = ("", "", head) if head in self.columns else head.rpartition(": ")
        if group and group not in self.groups:
            raise unknown("group of columns", group, self.groups)
        if name not in self.columns and name not in self.descriptive:
            raise unknown("column", head, [*META, *self.columns, *self.descriptive])
        meaning = {**self.groups.get(group, {}), **self.columns.get(name, {})}
        return Column(head, **meaning, is_minor=head in self.minor)

    @property
    def measured_columns(self) -> list[Column]:
        """The columns that no source prints, in order."""
        return [
            Column(head, **meaning, is_printed=False) for head, meaning in self.measured.items()
        ]

    def is_set_up(self, head: str) -> bool:
        """Whether a column says by which method or at which size a row was measured."""
        return head.rpartition(": ")[2] in self.set_up


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary in a file.

    Raises:
        UserError: It has no words, or one with an unknown field or a value that is none of its
            field.
    """
    words = read_yaml(path)
    if not words:
        what = "is empty" if path.exists() else "is missing"
        raise UserError(f"{path}: {what}; it must say what the heads of the tables mean")
    levels = {name: words.get(name) or {} for name in ("columns", "groups", "measured")}
    for name, level in levels.items():
        check_fields(level, list(level), f"{path}, '{name}'")
        levels[name] = {str(head): _meaning(head, entry, path) for head, entry in level.items()}
    for head, meaning in levels["measured"].items():
        _check_measured(meaning, f"{path}, '{head}'")
    vocabulary = build(Vocabulary, words, str(path), **levels)
    label, heads = vocabulary.label, [*vocabulary.columns, *vocabulary.descriptive]
    if label and not {label, label.rpartition(": ")[2]} & set(heads):
        raise UserError(f"{path}, label: {unknown('column', label, heads)}")
    return vocabulary


def _check_measured(meaning: Mapping[str, Any], where: str) -> None:
    """Refuses a column that nothing is printed in and that nothing here would fill."""
    metric = str(meaning.get("metric"))
    if metric not in UNITS:
        raise UserError(f"{where}: {unknown('metric that is measured', metric, UNITS)}")
    if meaning.get("unit") is None:
        raise UserError(f"{where}: its figures need a unit: {', '.join(UNITS[metric])}")
    if metric == "operations" and not meaning.get("convention"):
        raise UserError(f"{where}: needs a convention: {', '.join(CONVENTIONS)}")


_OWN = ("head", "is_printed", "is_minor")
"""What is not written with a head."""

_FIELDS = [name for name in Column.__dataclass_fields__ if name not in _OWN]


def _meaning(head: str, entry: Any, path: Path) -> dict[str, Any]:
    where = f"{path}, '{head}'"
    check_fields(entry, _FIELDS, where)
    build(Column, entry, where, head=head)
    if entry.get("device", "cpu") not in ("cpu", "cuda"):
        raise UserError(f"{where}: device can only be cpu or cuda, not {entry['device']}")
    if entry.get("convention", "paper") not in CONVENTIONS:
        raise UserError(f"{where}: {unknown('convention', entry['convention'], CONVENTIONS)}")
    metric, unit = entry.get("metric"), entry.get("unit")
    if entry.get("convention") and metric not in (None, "operations"):  # a group may name none
        raise UserError(f"{where}: a convention is of operations, not of {metric}; leave it out")
    if metric in UNITS and unit is not None and unit not in UNITS[metric]:
        raise UserError(f"{where}: {unknown(f'unit of {metric}', str(unit), UNITS[metric])}")
    try:
        overrides = parse_meta(entry.get("overrides", {}))
        parse_meta({name: entry.get(name, {}) for name in ("options", "settings")})
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    return {**entry, "overrides": overrides} if overrides else entry

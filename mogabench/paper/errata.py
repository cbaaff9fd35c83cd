"""The known misprints and contradictions, keyed to cells, read from ``errata.yaml``.

An erratum of a parameter or operation cell explains a measured number only where it says what that
number must be: what ought to be printed (``should_be``), or how the printed figure follows from a
measurement (``printed_is``, a `Derivation`). `mogabench.tables.cells` computes both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from mogabench.errors import UserError
from mogabench.paper.meta import parse_meta
from mogabench.paper.table import load_table, places_of
from mogabench.paper.vocabulary import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mogabench.paper.table import PaperTable, Row
    from mogabench.paper.vocabulary import Column


@dataclass(frozen=True)
class Term:
    """One measurement of a derivation.

    Attributes:
        times: What it is multiplied by.
        changes: Fields of the cell's `Meta` that are different in what is measured; ``options``
            are added to the cell's.
        convention: How its operations are counted; None for as the row's source counts.
        without: The modules that are left out, as `mogabench.subject.Subject` names a part.
    """

    times: float = 1.0
    changes: Mapping[str, Any] = field(default_factory=dict)
    convention: str | None = None
    without: str | None = None


@dataclass(frozen=True)
class Derivation:
    """How a printed figure follows from measurements: a sum of them, rounded.

    Attributes:
        text: What that is, such as ``with windows of 7``.
        terms: The measurements that are added up.
        rounded_to: Decimals that the figure was rounded to before the printed ones, in order.
        rounding: ``nearest``, or ``down`` or ``up`` where the printed digits were cut off or
            rounded up.
        meant: What the derivation gives where the print is a misprint of that; None for the print.
    """

    text: str
    terms: tuple[Term, ...] = (Term(),)
    rounded_to: tuple[int, ...] = ()
    rounding: Literal["nearest", "down", "up"] = "nearest"
    meant: str | None = None

    @property
    def is_of_the_same_network(self) -> bool:
        """Whether the network of the cell is itself among what is added up."""
        return any(not term.changes for term in self.terms)


@dataclass(frozen=True)
class Erratum:
    """Why a printed cell is wrong, doubtful or not comparable.

    Attributes:
        table: The table's name.
        row: The row's index.
        column: The column's head.
        reason: The reason, in one or two sentences.
        source: Where the reason comes from, where that is outside the paper's own tables.
        should_be: What it ought to say, where that is known.
        printed_is: How the printed figure follows from a measurement, where that is known.
        tried: Derivations that do not give the printed figure.
    """

    table: str
    row: int
    column: str
    reason: str
    source: str = ""
    should_be: str | None = None
    printed_is: Derivation | None = None
    tried: tuple[Derivation, ...] = ()

    @property
    def derivations(self) -> tuple[Derivation, ...]:
        """The derivation that holds, then those that were tried."""
        return (*filter(None, [self.printed_is]), *self.tried)


def erratum(table_id: str, row: Row, column: Column) -> Erratum | None:
    """What is known to be wrong with a cell, or None."""
    return errata().get((table_id, row.index, column.head))


def remarks(table_id: str) -> tuple[str, ...]:
    """What a reader of a whole table must know; sentences, often none."""
    return tuple(_read_file().get(table_id, {}).get("remarks", ()))


def has_tolerance(table_id: str) -> bool:
    """Whether a measured cost that is a little off the printed digits is taken for the same."""
    return not _read_file().get(table_id, {}).get("by_digits", False)


@cache
def errata() -> dict[tuple[str, int, str], Erratum]:
    """Every erratum, by table, row index and head.

    Raises:
        UserError: An entry names no cell, or a cell that an earlier entry names, or explains it by
            another network alone.
    """
    found: dict[tuple[str, int, str], Erratum] = {}
    for table_id, entries in _read_file().items():
        table = load_table(table_id)
        for entry in entries.get("cells", ()):
            for row in _rows(table, entry):
                for head in _as_list(entry["column"]):
                    _add(found, table, row, head, entry)
    return found


@cache
def _read_file() -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = read_yaml("errata.yaml")
    return tables


def _add(
    found: dict[tuple[str, int, str], Erratum],
    table: PaperTable,
    row: int,
    head: str,
    entry: dict[str, Any],
) -> None:
    key = (table.id, row, head)
    if head not in table.rows[row].cells or key in found:
        raise UserError(f"errata.yaml: table {table.id} has no cell '{head}', or it is there twice")
    derived = _derivation(entry["printed_is"]) if "printed_is" in entry else None
    if derived and not derived.is_of_the_same_network and "should_be" not in entry:
        # The row's own measurement could be anything.
        raise UserError(
            f"errata.yaml: table {table.id}, '{head}': a figure of another network needs should_be"
        )
    found[key] = Erratum(
        *key,
        entry["reason"],
        entry.get("source", ""),
        entry.get("should_be"),
        derived,
        tuple(map(_derivation, entry.get("tried", ()))),
    )


def _derivation(entry: dict[str, Any]) -> Derivation:
    """Reads a derivation; one of a single measurement has the fields of its term in it."""
    whole = {"text", "terms", "rounded_to", "rounding", "meant"}
    alone = {name: value for name, value in entry.items() if name not in whole}
    return Derivation(
        text=entry["text"],
        terms=tuple(map(_term, entry.get("terms", [alone]))),
        rounded_to=tuple(entry.get("rounded_to", ())),
        rounding=entry.get("rounding", "nearest"),
        meant=entry.get("meant"),
    )


def _term(entry: dict[str, Any]) -> Term:
    own = {name: entry[name] for name in ("times", "convention", "without") if name in entry}
    changes = {name: entry[name] for name in entry.keys() - own.keys() - {"options"}}
    options = {"options": entry["options"]} if "options" in entry else {}
    return Term(**own, changes=parse_meta(changes) | options)


def _rows(table: PaperTable, entry: dict[str, Any]) -> list[int]:
    """The rows an entry names: a label, a list of labels, ``label #2`` for its second, or ``*``."""
    if entry["row"] == "*":
        return [row.index for row in table.rows]
    return [_row(table, name) for name in _as_list(entry["row"])]


def _row(table: PaperTable, name: str) -> int:
    same = places_of(name, [row.label for row in table.rows])
    if len(same) != 1:
        raise UserError(f"errata.yaml: '{name}' names {len(same)} rows of table {table.id}, not 1")
    return table.rows[same[0]].index


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value

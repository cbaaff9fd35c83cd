"""The known misprints and contradictions, keyed to cells, read from a paper's ``errata.yaml``.

An erratum of a parameter or operation cell explains a measured number only where it says what that
number must be: what ought to be printed (``should_be``), or how the printed figure follows from a
measurement (``printed_is``, a `Derivation`). `mogabench.tables.cells` computes both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mogabench.errors import UserError, unknown
from mogabench.paper.counting import CONVENTIONS
from mogabench.paper.meta import parse_meta
from mogabench.paper.numbers import read_number
from mogabench.paper.reading import as_list, build, check_fields, check_kind, read_yaml
from mogabench.paper.table import places_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mogabench.paper.table import PaperTable
    from mogabench.paper.vocabulary import Column


ROUNDINGS = ("nearest", "down", "up")


@dataclass(frozen=True)
class Term:
    """One measurement of a derivation.

    Attributes:
        times: What it is multiplied by.
        changes: Fields of the cell's `Meta` that are different in what is measured; ``options``
            are added to the cell's.
        convention: How its operations are counted; None for as the row's source counts.
        without: The modules that are left out, as `mogabench.subject.Subject` names a part.
        form: The form of the network, as there.
    """

    times: float = 1.0
    changes: Mapping[str, Any] = field(default_factory=dict)
    convention: str | None = None
    without: str | None = None
    form: Literal["inference"] | None = None


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
        in_plots: Whether plots show it in place of the measured figure, as of a network of which
            a part of the weights is zero.
    """

    text: str
    terms: tuple[Term, ...] = (Term(),)
    rounded_to: tuple[int, ...] = ()
    rounding: Literal["nearest", "down", "up"] = "nearest"
    meant: str | None = None
    in_plots: bool = False

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


Cells = dict[tuple[int, str], Erratum]
"""Errata of a table by row index and head."""


@dataclass(frozen=True)
class TableErrata:
    """What the file says of a table.

    Attributes:
        remarks: What a reader of the whole table must know; sentences, often none.
        by_digits: Whether a measured cost must round to the printed digits, without a tolerance.
        cells: The entries of its cells, as written.
    """

    remarks: tuple[str, ...] = ()
    by_digits: bool = False
    cells: tuple[Mapping[str, Any], ...] = ()


def read_errata_file(path: Path) -> dict[str, TableErrata]:
    """What the file says of each table.

    Raises:
        UserError: It says something that there is not.
    """
    return {
        str(table): build(TableErrata, entry, f"{path}, table {table}")
        for table, entry in read_yaml(path).items()
    }


def read_errata(entries: TableErrata, table: PaperTable, path: Path) -> Cells:
    """The errata of a table's cells.

    Args:
        entries: What the file says of the table.
        table: The table.
        path: The file, for messages.

    Raises:
        UserError: An entry is malformed, names no cell or a cell that an earlier entry names, or
            explains it by another network alone.
    """
    found: Cells = {}
    for number, entry in enumerate(entries.cells, 1):
        where = f"{path}, table {table.id}, cell {number}"
        check_fields(entry, ["row", *_ENTRY], where)
        try:
            for row in _rows(table, entry):
                for head in as_list(entry["column"]):
                    _add(found, table, row, head, entry)
        except KeyError as error:
            raise UserError(f"{where}: lacks {error}") from error
        except (AttributeError, TypeError, ValueError, UserError) as error:
            raise UserError(f"{where}: {error}") from error
    return found


_ENTRY = ["column", "reason", "source", "should_be", "printed_is", "tried"]


def _add(found: Cells, table: PaperTable, row: int, head: str, entry: Mapping[str, Any]) -> None:
    if head not in table.rows[row].cells or (row, head) in found:
        raise UserError(f"table {table.id} has no cell '{head}', or it appears twice")
    column = next(each for each in table.columns if each.head == head)
    printed = table.rows[row].cells[head]
    should_be = _as_printed(entry, "should_be", column, printed)
    derived = None
    if "printed_is" in entry:
        derived = _derivation(entry["printed_is"], "printed_is", column, printed)
    if derived and not derived.is_of_the_same_network and should_be is None:
        # The row's own measurement could be anything.
        raise UserError(f"'{head}': a figure of another network needs should_be")
    tried = entry.get("tried", [])
    check_kind(tried, list, "tried")
    found[row, head] = Erratum(
        *(table.id, row, head),
        str(entry["reason"]),
        str(entry.get("source", "")),
        should_be,
        derived,
        tuple(_derivation(one, "tried", column, printed) for one in tried),
    )


def _derivation(entry: Any, name: str, column: Column, printed: str) -> Derivation:
    """Reads a derivation; one of a single measurement has the fields of its term in it."""
    check_kind(entry, dict, name)
    whole = {"text", "terms", "rounded_to", "rounding", "meant", "in_plots"}
    alone = {name: value for name, value in entry.items() if name not in whole}
    rounding = entry.get("rounding", "nearest")
    if rounding not in ROUNDINGS:
        raise unknown("rounding", str(rounding), ROUNDINGS)
    terms, rounded_to = entry.get("terms", [alone]), entry.get("rounded_to", [])
    check_kind(terms, list, f"{name}, terms")
    check_kind(rounded_to, list, f"{name}, rounded_to")
    check_kind(entry.get("in_plots", False), bool, f"{name}, in_plots")
    return Derivation(
        text=entry["text"],
        terms=tuple(map(_term, terms)),
        rounded_to=tuple(map(int, rounded_to)),
        rounding=rounding,
        meant=_as_printed(entry, "meant", column, printed),
        in_plots=entry.get("in_plots", False),
    )


def _as_printed(entry: Mapping[str, Any], name: str, column: Column, printed: str) -> str | None:
    """What ought to be printed; of a column of numbers a number, in the unit of the print."""
    text = entry.get(name)
    if text is None:
        return None
    if isinstance(text, float | int):  # YAML would take digits off it
        raise UserError(f"{name}: write it in quotes, '{text}', with all its digits")
    check_kind(text, str, name)
    if column.metric is None:
        return str(text)
    number, beside = read_number(text), read_number(printed)
    if number is None:
        raise UserError(f"{name}: '{text}' is not a number, as those of '{column.head}' are")
    unit = (beside.unit if beside else "") or column.unit
    if number.unit and unit and number.unit != unit:
        raise UserError(f"{name}: '{text}' must be in {unit}, as the printed '{printed}'")
    return str(text)


def _term(entry: Any) -> Term:
    check_kind(entry, dict, "each of terms")
    names = ("times", "convention", "without", "form")
    own = {name: entry[name] for name in names if name in entry}
    if own.get("convention", "paper") not in CONVENTIONS:
        raise unknown("convention", str(own["convention"]), CONVENTIONS)
    if own.get("form", "inference") != "inference":
        raise unknown("form", str(own["form"]), ["inference"])
    try:
        re.compile(own.get("without", ""))
    except re.error as error:
        raise UserError(
            f"without: '{own['without']}' is not a regular expression: {error}"
        ) from error
    if "times" in own:
        own["times"] = float(own["times"])
    return Term(**own, changes=parse_meta({k: entry[k] for k in entry.keys() - own.keys()}))


def _rows(table: PaperTable, entry: Mapping[str, Any]) -> list[int]:
    """The rows an entry names: a label, a list of labels, ``label #2`` for its second, or ``*``."""
    if entry["row"] == "*":
        return [row.index for row in table.rows]
    return [_row(table, name) for name in as_list(entry["row"])]


def _row(table: PaperTable, name: str) -> int:
    same = places_of(name, [row.label for row in table.rows])
    if len(same) != 1:
        raise UserError(f"'{name}' names {len(same)} rows of table {table.id}, not 1")
    return table.rows[same[0]].index

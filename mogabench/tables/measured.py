"""Tables joined with the records, after what they miss was measured."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mogabench.catalogue import import_packages
from mogabench.errors import UserError
from mogabench.tables.added import add_network
from mogabench.tables.join import join, unmeasured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.measure.sweep import Failure
    from mogabench.paper import Paper, PaperTable
    from mogabench.records import Store
    from mogabench.subject import Subject
    from mogabench.tables.added import Added
    from mogabench.tables.join import JoinedTable

_LOG = logging.getLogger(__name__)


def measured_tables(
    paper: Paper,
    ids: Sequence[str],
    store: Store,
    *,
    add: Sequence[Added] = (),
    packages: list[str] | None = None,
    fresh: bool = False,
    quiet: bool,
) -> tuple[list[JoinedTable], int]:
    """Joins tables after measuring what they miss; returns them and the number of failures.

    A malformed table is a failure where all are asked for.

    Args:
        paper: The tables' paper.
        ids: Names of tables, or ``all`` that can be read.
        store: The records, to which what is measured is appended.
        add: Networks that get rows of their own.
        packages: Packages that register them.
        fresh: Measure again what has a record.
        quiet: Plain lines instead of a progress bar.

    Raises:
        UserError: A table or an added network is unknown, no table can be read, a table cannot
            take a network, or a record cannot be written.
    """
    import_packages(packages)
    if "all" in ids:
        tables = paper.tables()
        if not tables:
            raise UserError(f"{paper.folder} has no table that can be read")
        tables = _add_where_possible(tables, add) if add else tables
    else:
        tables = [_with_all(paper.table(name), add) for name in dict.fromkeys(ids)]
    subjects = unmeasured(tables, store, fresh=fresh)
    failures = 0
    if subjects:
        from mogabench.measure.sweep import sweep

        failures = _name(sweep(subjects, store, packages=packages, quiet=quiet))
    joined = [join(table, store) for table in tables]
    if store.problems:
        first, count = store.problems[0], len(store.problems)
        _LOG.error("mogabench: %s unreadable record(s) set aside: %s", count, first)
    malformed = len(paper.problems) if "all" in ids else 0
    return joined, failures + malformed


def count_missing(
    subjects: Sequence[Subject], store: Store, *, packages: list[str] | None, quiet: bool
) -> int:
    """Counts the networks that no valid record counts; returns the number of failures."""
    from mogabench.measure.sweep import sweep_missing

    return _name(sweep_missing(subjects, store, packages=packages, quiet=quiet))


def _name(failures: Sequence[Failure]) -> int:
    """Names the networks that failed, and returns their number."""
    for failure in failures:
        _LOG.error("mogabench: %s: %s", failure.subject.key, failure.reason)
    return len(failures)


def _with_all(table: PaperTable, networks: Sequence[Added]) -> PaperTable:
    for network in networks:
        table = add_network(table, network)
    return table


def _add_where_possible(tables: list[PaperTable], networks: Sequence[Added]) -> list[PaperTable]:
    """Adds networks to the tables that can take them, and names the others in a line."""
    found, refused, reason = [], [], None
    for table in tables:
        try:
            found.append(_with_all(table, networks))
        except UserError as error:
            found.append(table)
            refused.append(table.id)
            reason = error
    if len(refused) == len(tables) and reason is not None:
        raise reason
    if refused:
        _LOG.warning(
            "mogabench: no row was added to Tables %s, which cannot take it", ", ".join(refused)
        )
    return found

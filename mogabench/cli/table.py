"""``mogabench table``: measure what is missing, and print a table of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.options import ImportOption, QuietOption, ResultsOption

if TYPE_CHECKING:
    from mogabench.records import Store
    from mogabench.tables.join import JoinedTable

_FORMATS = "terminal, markdown, csv, latex, html or json"


def table(
    ids: Annotated[list[str], typer.Argument(metavar="TABLE…", help="1 … 7, A1 … A15, or all.")],
    output_format: Annotated[str, typer.Option("--format", "-f", help=f"{_FORMATS}.")] = "terminal",
    add: Annotated[
        list[str] | None,
        typer.Option("--add", metavar="BACKBONE", help="Put a timm model of yours in the table."),
    ] = None,
    packages: ImportOption = None,
    fresh: Annotated[bool, typer.Option(help="Measure again what has a record.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file instead.")
    ] = None,
    results: ResultsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Print a paper's table beside what was measured; measures what is missing first."""
    from mogabench.errors import unknown
    from mogabench.files import write_whole
    from mogabench.records import open_store
    from mogabench.tables.render import RENDERERS

    if output_format not in RENDERERS:
        raise unknown("format", output_format, RENDERERS)
    joined, failures = measured_tables(
        ids, open_store(results), add=add, packages=packages, fresh=fresh, quiet=quiet
    )
    text = RENDERERS[output_format](joined)
    if output is None:
        print(text)
    else:
        write_whole(output, text + "\n")
    if failures:
        raise typer.Exit(1)


def measured_tables(
    ids: list[str],
    store: Store,
    *,
    add: list[str] | None = None,
    packages: list[str] | None = None,
    fresh: bool = False,
    quiet: bool = False,
) -> tuple[list[JoinedTable], int]:
    """Joins tables after measuring what they miss; returns them and the number of failures.

    Raises:
        UserError: A table or an added backbone is unknown, or a record cannot be written.
    """
    from mogabench.catalogue import backbones, check_backbone, import_packages
    from mogabench.console import print_error
    from mogabench.paper import load_table, table_ids
    from mogabench.tables.join import join, unmeasured, with_backbones

    import_packages(packages)
    own = [check_backbone(name, backbones()) for name in add or ()]
    wanted = table_ids() if "all" in ids else tuple(dict.fromkeys(ids))
    tables = [with_backbones(load_table(table_id), own) for table_id in wanted]
    subjects = unmeasured(tables, store, fresh=fresh)
    failures = []
    if subjects:
        from mogabench.measure.sweep import sweep

        failures = sweep(subjects, store, packages=packages, quiet=quiet)
    for failure in failures:
        print_error(f"{failure.subject.key}: {failure.reason}")
    joined = [join(table, store) for table in tables]
    if store.problems:
        first, count = store.problems[0], len(store.problems)
        print_error(f"{count} unreadable record(s) set aside: {first}")
    return joined, len(failures)

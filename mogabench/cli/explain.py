"""``mogabench explain``: a cell of a table in full."""

from __future__ import annotations

from typing import Annotated

import typer

from mogabench.cli.options import JsonOption, QuietOption, ResultsOption
from mogabench.cli.table import measured_tables


def explain(
    table: Annotated[str, typer.Argument(help="1 … 7, A1 … A15.")],
    row: Annotated[str, typer.Argument(help="Its first cell, such as SLaK-T or 'Swin-B #2'.")],
    column: Annotated[
        str | None, typer.Argument(help="Its head, such as 'FLOPs (G)'; all of them by default.")
    ] = None,
    results: ResultsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print what is known of a cell: counts by each convention, reason, evidence, provenance."""
    from mogabench.console import print_json, print_pairs
    from mogabench.paper import load_table
    from mogabench.records import open_store
    from mogabench.tables.explain import explain as explain_cell
    from mogabench.tables.explain import find_cells, find_rows
    from mogabench.tables.join import join

    store = open_store(results)
    for found in find_rows(join(load_table(table), store), row):  # before anything is measured
        find_cells(found, column)
    (joined,), _ = measured_tables([table], store, quiet=quiet)
    cells = [
        explain_cell(joined, found, cell)
        for found in find_rows(joined, row)
        for cell in find_cells(found, column)
    ]
    if as_json:
        print_json([dict(cell) for cell in cells])
        return
    for cell in cells:
        print_pairs(cell)

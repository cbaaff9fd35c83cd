"""``mogabench explain``: a cell of a table in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.completion import complete_table
from mogabench.cli.options import (
    FormatOption,
    ImportOption,
    PaperOption,
    PapersOption,
    QuietOption,
    ResultsOption,
)

if TYPE_CHECKING:
    from mogabench.paper import Paper
    from mogabench.tables.cells import Cell


def explain(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE[:ROW:COLUMN]",
            help="A table's ID, or with row and column such as 3:MogaNet-S:FLOPs.",
            autocompletion=complete_table,
        ),
    ],
    row: Annotated[
        str | None, typer.Argument(help="The row's first cell, such as SLaK-T or 'Swin-B #2'.")
    ] = None,
    column: Annotated[
        str | None,
        typer.Argument(help="The column's head, or how it begins, such as FLOPs; default: all."),
    ] = None,
    depth: Annotated[
        int, typer.Option(min=0, help="Levels of the network's modules to show with the counts.")
    ] = 0,
    paper: PaperOption = None,
    papers: PapersOption = None,
    packages: ImportOption = None,
    results: ResultsOption = None,
    quiet: QuietOption = False,
    output_format: FormatOption = "text",
) -> None:
    """Print all that is known of a cell of a table.

    Shows its counts by each convention, the reason for a difference, and the provenance.
    """
    from mogabench.console import print_json, print_pairs
    from mogabench.paper import get_paper
    from mogabench.records import open_store
    from mogabench.tables.explain import explain as explain_cell
    from mogabench.tables.explain import find_cells, find_rows
    from mogabench.tables.join import join
    from mogabench.tables.measured import measured_tables

    chosen, store = get_paper(paper, papers), open_store(results)
    table, row, column = _address(chosen, table, row, column)
    for found in find_rows(join(chosen.table(table), store), row):  # before anything is measured
        find_cells(found, column)
    (joined,), _ = measured_tables(chosen, [table], store, packages=packages, quiet=quiet)
    cells = [
        (cell, explain_cell(joined, found, cell))
        for found in find_rows(joined, row)
        for cell in find_cells(found, column)
    ]
    if output_format == "json":
        print_json([dict(lines) | _tree(cell, depth) for cell, lines in cells])
        return
    for cell, lines in cells:
        print_pairs(lines)
        _print_tree(cell, depth)


def _address(
    paper: Paper, table: str, row: str | None, column: str | None
) -> tuple[str, str, str | None]:
    """Table, row and column, which may come as one argument with colons.

    Raises:
        UserError: No row is named.
    """
    from mogabench.errors import UserError
    from mogabench.escaping import command_line
    from mogabench.paper.papers import paper_options

    if row is None:
        table, *rest = table.split(":", 2)
        row, column = (*rest, None, None)[:2]
    if not row:
        lists = command_line("table", table, *paper_options(paper))
        raise UserError(f"which row? {lists} lists them; give {table}:ROW:COLUMN")
    return table, row, column or None


def _print_tree(cell: Cell, depth: int) -> None:
    from mogabench.console import print_line, print_table
    from mogabench.measure.complexity import count_subject
    from mogabench.tables.tree import HEADS, tree_rows

    if depth and cell.convention and cell.subject:
        print_line(f"{cell.subject.key}, by '{cell.convention}':")
        tree = count_subject(cell.subject).tree
        rows = list(tree_rows(tree, depth=depth, convention=cell.convention))
        print_table(HEADS, rows, right=HEADS[2:])


def _tree(cell: Cell, depth: int) -> dict[str, object]:
    from mogabench.measure.complexity import count_subject
    from mogabench.tables.tree import tree_entry

    if not (depth and cell.convention and cell.subject):
        return {}
    return {"tree": tree_entry(count_subject(cell.subject).tree, depth=depth)}

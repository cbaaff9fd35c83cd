"""``mogabench table``: measure what is missing, and print a table of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.completion import complete_table
from mogabench.cli.options import (
    ImportOption,
    PaperOption,
    PapersOption,
    QuietOption,
    ResultsOption,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.tables.beside import Source

_FORMATS = "text, markdown, csv, latex, html, json or parquet"


def table(
    ids: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE…",
            help="IDs of tables, such as 3 or A5, or all; see 'mogabench list tables'.",
            autocompletion=complete_table,
        ),
    ],
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", help=f"{_FORMATS}; default: by the ending of --output, else text."
        ),
    ] = None,
    paper: PaperOption = None,
    papers: PapersOption = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            "--add",
            metavar="BACKBONE",
            help="Add a timm model to the table, with --import one of your own; repeat for more.",
        ),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="With --add: only this method of the table.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="N|HxW", help="With --add: the input size."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option", metavar="NAME=VALUE", help="With --add: a keyword argument of the network."
        ),
    ] = None,
    packages: ImportOption = None,
    fresh: Annotated[bool, typer.Option(help="Count again, even what has a record.")] = False,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Show figures of a CSV file of timm's results/ in columns called NAME.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="HEAD,…",
            help="Show only columns whose heads begin with one of these, such as param,flops.",
        ),
    ] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="Show all columns, whatever the terminal's width.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file, instead of printing.")
    ] = None,
    results: ResultsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Print a paper's table beside what was measured.

    Missing parameters and operations are counted first.
    """
    from mogabench.console import has_colour, page, screen_width
    from mogabench.files import expanded
    from mogabench.paper import get_paper
    from mogabench.records import open_store
    from mogabench.tables.beside import stand_beside
    from mogabench.tables.join import select_columns
    from mogabench.tables.measured import measured_tables
    from mogabench.tables.rendering import RENDERERS, render_terminal, write_tables

    output_format = _choose_format(output_format, output)
    own = []
    if add or method or size or options:  # a table from records alone needs no PyTorch
        from mogabench.cli.subjects import read_added

        own = read_added(add or (), method=method, size=size, options=options or ())
    sources = _read_sources(beside or (), output_format)
    chosen, store = get_paper(paper, papers), open_store(results)
    joined, failures = measured_tables(
        chosen, ids, store, add=own, packages=packages, fresh=fresh, quiet=quiet
    )
    if sources:
        joined = stand_beside(joined, sources)
    if columns is not None:
        joined = select_columns(joined, columns.split(","))
    if output is not None:
        write_tables(joined, expanded(output), output_format)
    elif output_format == "text":
        text = render_terminal(joined, None if wide else screen_width(), colour=has_colour())
        page(text, quiet=quiet)
    else:
        print(RENDERERS[output_format](joined))
    if failures:
        raise typer.Exit(1)


def _read_sources(given: Sequence[str], output_format: str) -> list[Source]:
    """The files of --beside.

    Raises:
        UserError: One cannot be read, or the format has measured cells only.
    """
    from mogabench.errors import UserError
    from mogabench.files import expanded
    from mogabench.tables.beside import read_source

    if given and output_format in ("csv", "json", "parquet"):
        raise UserError(
            f"--beside works with text, markdown, latex and html, not with {output_format}"
        )
    sources = []
    for text in given:
        name, is_named, path = text.partition("=")
        if not (name and is_named and path):
            raise UserError(f"--beside {text}: give NAME=FILE, such as timm=results-imagenet.csv")
        sources.append(read_source(name, expanded(path)))
    return sources


def _choose_format(given: str | None, output: Path | None) -> str:
    """The format that is named, or that the ending of the file names; text without either.

    Raises:
        UserError: It is none, or it is no text and there is no file to write it to.
    """
    from mogabench.errors import UserError, unknown
    from mogabench.tables.rendering import ENDINGS

    if given is None:
        if output is None:
            return "text"
        if output.suffix not in ENDINGS:
            wrong = unknown(f"ending of {output}", output.suffix, ENDINGS)
            raise UserError(f"{wrong}; or give --format")
        return ENDINGS[output.suffix]
    if given not in ENDINGS.values():
        raise unknown("format", given, ENDINGS.values())
    if given == "parquet" and output is None:
        raise UserError("parquet is not text: give a file with --output")
    return given

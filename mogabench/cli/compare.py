"""``mogabench compare``: networks beside each other over several tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.completion import complete_network, complete_task
from mogabench.cli.options import FormatOption, ImportOption, QuietOption, ResultsOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.tables.comparison import Line
    from mogabench.tables.grid import Footnotes


def compare(
    networks: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL…",
            help="timm names, or MogaNet's xt to xl.",
            autocompletion=complete_network,
        ),
    ],
    tasks: Annotated[
        str,
        typer.Option(
            metavar="TASK,…|all", help="Tasks to compare in.", autocompletion=complete_task
        ),
    ] = "all",
    packages: ImportOption = None,
    results: ResultsOption = None,
    output_format: FormatOption = "text",
    quiet: QuietOption = False,
) -> None:
    """Compare networks over several tasks.

    Prints the costs as one table, then the throughputs and the accuracies that have a record. Costs
    are of each task's first method at the tables' size; what has no record is counted. FLOPs are
    multiply-accumulates of convolutions, linear layers and matrix products. Throughputs are in
    eager float32, a table for each device. Accuracies are compared where data, size, recipe and
    epochs are the same, and are means over the seeds. A task is left out where it takes none of the
    networks: video takes translators, such as moganet.
    """
    from mogabench.catalogue import import_packages
    from mogabench.console import print_json
    from mogabench.records import open_store
    from mogabench.tables.comparison import check_networks, subjects
    from mogabench.tables.comparison import compare as compare_in
    from mogabench.tables.measured import count_missing
    from mogabench.tasks import get_task
    from mogabench.tasks import tasks as all_tasks
    from mogabench.variants import VARIANTS

    import_packages(packages)
    names = list(dict.fromkeys(VARIANTS.get(name, name) for name in networks))
    every = all_tasks()
    chosen = list(every.values()) if tasks == "all" else [get_task(t) for t in tasks.split(",")]
    check_networks(chosen, names)
    store = open_store(results)
    wanted = [subject for task in chosen for subject in subjects(task, names) if subject]
    failures = count_missing(wanted, store, packages=packages, quiet=quiet)
    lines = [line for task in chosen for line in compare_in(task, names, store)]
    if output_format == "json":
        print_json([line.entry(names) for line in lines])
    else:
        _print(lines, names)
    if failures:
        raise typer.Exit(1)


def _print(lines: Sequence[Line], networks: Sequence[str]) -> None:
    """Prints the costs as one table with a section per task, then rates and qualities."""
    from itertools import groupby

    from mogabench.console import print_line, print_table
    from mogabench.records import Kind
    from mogabench.tables.grid import Footnotes

    costs = [line for line in lines if line.kind is Kind.COMPLEXITY]
    heads = list(dict.fromkeys(map(_head, costs)))
    rows = []
    for title, section in groupby(costs, _title):
        rows += [(title, *("" for _ in heads)), *_rows(list(section), networks, Footnotes())]
    print_table(("network", *heads), rows, right=heads)
    for title, section in groupby((item for item in lines if item not in costs), _title):
        found, footnotes = list(section), Footnotes()
        print_line("")
        print_line(title)
        heads = list(map(_head, found))
        print_table(("network", *heads), _rows(found, networks, footnotes), right=heads)
        for text in footnotes.texts:
            print_line(f"{footnotes.mark(text)} {text}")


def _title(line: Line) -> str:
    return f"{line.task}, {line.where}:"


def _head(line: Line) -> str:
    return f"{line.figure} ({line.unit})"


def _rows(
    lines: Sequence[Line], networks: Sequence[str], footnotes: Footnotes
) -> list[tuple[str, ...]]:
    """A row for each network of which one of the figures is known."""
    from mogabench.tables.grid import MISSING

    rows = zip(networks, *(line.texts(footnotes) for line in lines), strict=True)
    return [row for row in rows if any(text != MISSING for text in row[1:])]

"""``mogabench list``: lists the tasks, models, weights, recipes and tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.completion import complete_ablation, complete_task
from mogabench.cli.options import (
    FormatOption,
    ImportOption,
    PaperOption,
    PapersOption,
    ResultsOption,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mogabench.paper import PaperTable
    from mogabench.subject import Subject

_PROSE = ("methods", "metrics", "what it is", "title", "what", "tables", "source")
"""Columns that a narrow terminal may break at spaces."""

app = typer.Typer(
    help="List tasks, models, weights, recipes, papers or tables.",
    no_args_is_help=True,
)


@app.command("tasks")
def list_tasks(output_format: FormatOption = "text") -> None:
    """List the tasks, with their methods and metrics."""
    from mogabench.tasks import tasks

    _print(
        ("task", "methods", "metrics", "what it is"),
        [
            (t.name, ", ".join(t.methods), ", ".join(m.name for m in t.metrics), t.title)
            for t in tasks().values()
        ],
        output_format,
    )


@app.command("models")
def list_models(
    pattern: Annotated[str, typer.Argument(help="Shell pattern, such as 'moganet_*'.")] = "",
    task: Annotated[
        str | None,
        typer.Option(
            help="Only networks in this task's tables, with their counts.",
            autocompletion=complete_task,
        ),
    ] = None,
    paper: PaperOption = None,
    papers: PapersOption = None,
    packages: ImportOption = None,
    results: ResultsOption = None,
    output_format: FormatOption = "text",
) -> None:
    """List the backbones of the tables, or all that match a pattern."""
    from fnmatch import fnmatch

    from mogabench.catalogue import backbones, import_packages
    from mogabench.paper import get_paper

    import_packages(packages)
    tables = get_paper(paper, papers).tables()
    if task is not None:
        costs = ("param. (M)", "FLOPs (G)", "convention")
        heads = ("backbone", "method", "size", *costs, "tables")
        _print(heads, list(_of_task(tables, task, pattern or "*", results)), output_format)
        return
    used: dict[str, list[str]] = {}
    for table in tables:
        for name in dict.fromkeys(row.meta.backbone for row in table.rows):
            used.setdefault(name, []).append(table.id)
    names = (
        sorted(n for n in backbones() if fnmatch(n, pattern))
        if pattern
        else sorted(name for name in used if name in backbones())
    )
    _print(("backbone", "tables"), [(n, ", ".join(used.get(n, ()))) for n in names], output_format)


def _of_task(
    tables: Sequence[PaperTable], task: str, pattern: str, results: Path | None
) -> Iterator[tuple[str, ...]]:
    """A line for each network of the task's tables that can be built, as the tables count it."""
    from fnmatch import fnmatch

    from mogabench.records import Kind, open_store
    from mogabench.tables.join import conventions_of, subjects_of
    from mogabench.tables.measurable import is_buildable
    from mogabench.tasks import get_task

    name, store = get_task(task).name, open_store(results)
    found: dict[Subject, list[str]] = {}
    conventions: dict[Subject, str] = {}
    for table in tables:
        conventions = conventions_of(table) | conventions  # of several, the first table's
        for subject in dict.fromkeys(subjects_of(table)):
            if subject.task == name and fnmatch(subject.backbone, pattern):
                found.setdefault(subject, []).append(table.id)
    for subject, ids in found.items():
        if is_buildable(subject):
            record = store.latest(subject.key, Kind.COMPLEXITY)
            values = record.values if record else {}
            convention = conventions.get(subject, "—")
            costs = {"trainable_parameters": 1e6, f"operations_{convention}": 1e9}
            counted = [
                f"{values[key].value / scale:.2f}" if key in values else "—"
                for key, scale in costs.items()
            ]
            size = "x".join(map(str, subject.input_size))
            yield subject.backbone, subject.method, size, *counted, convention, ", ".join(ids)


@app.command("weights")
def list_weights(
    task: Annotated[
        str | None, typer.Option(help="Only weights of this task.", autocompletion=complete_task)
    ] = None,
    output_format: FormatOption = "text",
) -> None:
    """List the released weights, for --weights official."""
    from mogabench.console import print_line
    from mogabench.releases import listed_weights
    from mogabench.tasks import get_task

    name = None if task is None else get_task(task).name
    found = [item for item in listed_weights() if name in (None, item.task)]
    heads = ("task", "method", "backbone", "size", "recipe", "options", "url", "bytes", "sha256")
    rows = [
        (
            *(item.task, item.method, item.backbone),
            "x".join(map(str, item.release.input_size)) or "any",
            item.release.recipe,
            ", ".join(f"{name}={value}" for name, value in item.options.items()),
            item.release.urls[0],
            str(item.release.bytes or "unknown"),
            item.release.sha256 or "unknown",
        )
        for item in found
    ]
    if output_format == "json":
        _print(heads, rows, output_format)
        return
    for task_name in dict.fromkeys(row[0] for row in rows):  # an address is longer than a line
        print_line(task_name)
        _print(heads[1:6], [row[1:6] for row in rows if row[0] == task_name], output_format)
        print_line("")


@app.command("recipes")
def list_recipes(output_format: FormatOption = "text") -> None:
    """List the recipes."""
    from mogabench import recipes
    from mogabench.tasks import tasks

    rows = [
        (name, task.name, recipes.load(name, task).title)
        for task in tasks().values()
        for name in recipes.names(task)
    ]
    _print(("recipe", "task", "what it is"), rows, output_format)


@app.command("papers")
def list_papers(papers: PapersOption = None, output_format: FormatOption = "text") -> None:
    """List the papers, with the source of their numbers."""
    from mogabench.console import print_error
    from mogabench.errors import UserError
    from mogabench.paper import get_paper, paper_names

    rows = []
    for name in paper_names(papers):
        try:
            paper = get_paper(name, papers)
        except UserError as error:  # such as another package's
            print_error(error)
            continue
        rows.append((name, ", ".join(paper.table_ids), paper.about.title, paper.about.source))
    _print(("paper", "tables", "title", "source"), rows, output_format)


@app.command("tables")
def list_tables(
    paper: PaperOption = None, papers: PapersOption = None, output_format: FormatOption = "text"
) -> None:
    """List a paper's tables."""
    from mogabench.paper import get_paper

    rows = [(t.id, str(len(t.rows)), t.title) for t in get_paper(paper, papers).tables()]
    _print(("table", "rows", "title"), rows, output_format)


@app.command("ablations")
def list_ablations(
    name: Annotated[
        str,
        typer.Argument(metavar="A5", help="List its networks.", autocompletion=complete_ablation),
    ] = "",
    output_format: FormatOption = "text",
) -> None:
    """List the ablations of MogaNet's paper, or the networks of one."""
    from mogabench.paper import ablations, get_ablation, get_paper

    if not name:
        found = ablations(get_paper()).values()
        rows = [(one.name, str(len(one.variants)), one.title) for one in found]
        _print(("ablation", "networks", "title"), rows, output_format)
        return
    variants = get_ablation(get_paper(), name).variants
    _print(
        ("name", "what", "backbone", "size", "recipe"),
        [
            (
                one.name,
                one.label,
                one.meta.backbone,
                "x".join(map(str, one.meta.input_size)),
                one.meta.recipe,
            )
            for one in variants
        ],
        output_format,
    )


def _print(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], output_format: str) -> None:
    from mogabench.console import print_json, print_table

    if output_format == "json":
        print_json([dict(zip(heads, row, strict=True)) for row in rows])
    else:
        print_table(heads, rows, prose=_PROSE)

"""``mogabench list``: lists the tasks, models, weights, recipes and tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.options import ImportOption, JsonOption, ResultsOption

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mogabench.subject import Subject

app = typer.Typer(
    help="List the tasks, models, weights, recipes, tables or ablations.", no_args_is_help=True
)


@app.command("tasks")
def list_tasks(as_json: JsonOption = False) -> None:
    """List the tasks, with their methods and metrics."""
    from mogabench.tasks import tasks

    _print(
        ("task", "methods", "metrics", "what it is"),
        [
            (t.name, ", ".join(t.methods), ", ".join(m.name for m in t.metrics), t.title)
            for t in tasks().values()
        ],
        as_json,
    )


@app.command("models")
def list_models(
    pattern: Annotated[str, typer.Argument(help="Shell pattern, such as 'moganet_*'.")] = "",
    task: Annotated[
        str | None, typer.Option(help="Those in the task's tables, with their counts.")
    ] = None,
    packages: ImportOption = None,
    results: ResultsOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the backbones of the paper's tables, or all that match a pattern."""
    from fnmatch import fnmatch

    from mogabench.catalogue import backbones, import_packages
    from mogabench.paper import load_table, table_ids

    import_packages(packages)
    if task is not None:
        heads = ("backbone", "method", "size", "parameters (M)", "operations (G)", "tables")
        _print(heads, list(_of_task(task, pattern or "*", results)), as_json)
        return
    used: dict[str, list[str]] = {}
    for table in map(load_table, table_ids()):
        for name in dict.fromkeys(row.meta.backbone for row in table.rows):
            used.setdefault(name, []).append(table.id)
    names = (
        sorted(n for n in backbones() if fnmatch(n, pattern))
        if pattern
        else sorted(name for name in used if name in backbones())
    )
    _print(("backbone", "tables"), [(n, ", ".join(used.get(n, ()))) for n in names], as_json)


def _of_task(task: str, pattern: str, results: Path | None) -> Iterator[tuple[str, ...]]:
    """A line for each network of the task's tables that can be built, as the tables count it."""
    from fnmatch import fnmatch

    from mogabench.paper import load_table, table_ids
    from mogabench.records import Kind, open_store
    from mogabench.tables.cells import is_buildable
    from mogabench.tables.join import subjects_of
    from mogabench.tasks import get_task

    name, store = get_task(task).name, open_store(results)
    found: dict[Subject, list[str]] = {}
    for table in map(load_table, table_ids()):
        for subject in dict.fromkeys(subjects_of(table)):
            if subject.task == name and fnmatch(subject.backbone, pattern):
                found.setdefault(subject, []).append(table.id)
    for subject, tables in found.items():
        if is_buildable(subject):
            record = store.latest(subject.key, Kind.COMPLEXITY)
            counted = ("—", "—")
            if record is not None:
                values = {key: quantity.value for key, quantity in record.values.items()}
                counted = (
                    f"{values['trainable_parameters'] / 1e6:.2f}",
                    f"{values['operations_paper'] / 1e9:.2f}",
                )
            size = "x".join(map(str, subject.input_size))
            yield subject.backbone, subject.method, size, *counted, ", ".join(tables)


@app.command("weights")
def list_weights(
    task: Annotated[str | None, typer.Option(help="Only this task's.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the authors' released weights, which --weights official downloads."""
    from mogabench.releases import listed_weights
    from mogabench.tasks import get_task

    name = None if task is None else get_task(task).name
    found = [item for item in listed_weights() if name in (None, item.task)]
    heads = ("task", "method", "backbone", "size", "recipe", "url", "bytes", "sha256")
    rows = [
        (
            *(item.task, item.method, item.backbone),
            "x".join(map(str, item.input_size)) or "any",
            item.release.recipe,
            item.release.urls[0],
            str(item.release.bytes or "unknown"),
            item.release.sha256 or "unknown",
        )
        for item in found
    ]
    if as_json:
        _print(heads, rows, as_json)
    else:  # an address is longer than a line
        _print(heads[:5], [row[:5] for row in rows], as_json)


@app.command("recipes")
def list_recipes(as_json: JsonOption = False) -> None:
    """List the training set-ups."""
    from mogabench import recipes
    from mogabench.tasks import tasks

    rows = [
        (name, task.name, recipes.load(name, task).title)
        for task in tasks().values()
        for name in recipes.names(task)
    ]
    _print(("recipe", "task", "what it is"), rows, as_json)


@app.command("tables")
def list_tables(as_json: JsonOption = False) -> None:
    """List the paper's tables."""
    from mogabench.paper import load_table, table_ids

    tables = map(load_table, table_ids())
    _print(("table", "rows", "title"), [(t.id, str(len(t.rows)), t.title) for t in tables], as_json)


@app.command("ablations")
def list_ablations(
    name: Annotated[str, typer.Argument(metavar="A5", help="List its networks.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List the paper's ablations, or the networks of one."""
    from mogabench.paper import ablations, get_ablation

    if not name:
        rows = [(one.name, str(len(one.variants)), one.title) for one in ablations().values()]
        _print(("ablation", "networks", "title"), rows, as_json)
        return
    variants = get_ablation(name).variants
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
        as_json,
    )


def _print(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], as_json: bool) -> None:
    from mogabench.console import print_json, print_table

    if as_json:
        print_json([dict(zip(heads, row, strict=True)) for row in rows])
    else:
        print_table(heads, rows)

"""``mogabench list``: what there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from mogabench.cli.options import ImportOption, JsonOption

app = typer.Typer(help="List the tasks, models, recipes or tables.", no_args_is_help=True)


@app.command("tasks")
def list_tasks(as_json: JsonOption = False) -> None:
    """The tasks, with their methods and metrics."""
    from mogabench.tasks import tasks

    _print(
        ("task", "methods", "metrics", "what it is"),
        [
            (t.name, ", ".join(t.methods), ", ".join(m.label for m in t.metrics), t.title)
            for t in tasks().values()
        ],
        as_json,
    )


@app.command("models")
def list_models(
    pattern: Annotated[str, typer.Argument(help="Shell pattern, such as 'moganet_*'.")] = "",
    packages: ImportOption = None,
    as_json: JsonOption = False,
) -> None:
    """The backbones of the paper's tables that can be built, or all that match a pattern."""
    from fnmatch import fnmatch

    from mogabench.catalogue import backbones, import_packages
    from mogabench.paper import load_table, table_ids

    import_packages(packages)
    used: dict[str, list[str]] = {}
    for table in map(load_table, table_ids()):
        for name in dict.fromkeys(row.meta["backbone"] for row in table.rows):
            used.setdefault(name, []).append(table.id)
    names = (
        sorted(n for n in backbones() if fnmatch(n, pattern))
        if pattern
        else sorted(name for name in used if name in backbones())
    )
    _print(("backbone", "tables"), [(n, ", ".join(used.get(n, ()))) for n in names], as_json)


@app.command("recipes")
def list_recipes(as_json: JsonOption = False) -> None:
    """The training set-ups."""
    from mogabench import recipes

    rows = [(name, recipes.load(name).task, recipes.load(name).title) for name in recipes.names()]
    _print(("recipe", "task", "what it is"), rows, as_json)


@app.command("tables")
def list_tables(as_json: JsonOption = False) -> None:
    """The paper's tables."""
    from mogabench.paper import load_table, table_ids

    tables = map(load_table, table_ids())
    _print(("table", "rows", "title"), [(t.id, str(len(t.rows)), t.title) for t in tables], as_json)


def _print(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps([dict(zip(heads, row, strict=True)) for row in rows], indent=1))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*row)
    Console().print(table)

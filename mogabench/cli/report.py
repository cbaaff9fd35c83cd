"""``mogabench report``: every table, the plots and an index, written to the results folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.options import QuietOption, ResultsOption
from mogabench.cli.table import measured_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mogabench.records import Store
    from mogabench.tables.join import JoinedTable
    from mogabench.tables.plots import Point

_WRITTEN_BY = "Written by `mogabench report`"
_TRAININGS = "trainings.md"
_UNEXPLAINED = "unexplained.md"


def report(
    results: ResultsOption = None,
    fresh: Annotated[bool, typer.Option(help="Count again what has a record.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Write every table as Markdown, the plots and an index page; measures what is missing."""
    from mogabench.analysis.figures import write_figure, written_figures
    from mogabench.analysis.interaction.figure import figures
    from mogabench.errors import UserError
    from mogabench.files import write_whole
    from mogabench.records import open_store
    from mogabench.tables.render import render_markdown
    from mogabench.tables.trainings import render_trainings, trainings
    from mogabench.tables.unexplained import render_unexplained

    store = open_store(results)
    folder = store.results
    index = folder / "README.md"
    if index.exists() and _WRITTEN_BY not in index.read_text():
        raise UserError(f"{index} is not a report's index; give another folder with --results")
    tables, failures = measured_tables(["all"], store, fresh=fresh, quiet=quiet)
    for table in tables:
        write_whole(folder / _file_name(table), render_markdown([table]) + "\n")
    write_whole(folder / _UNEXPLAINED, render_unexplained(tables) + "\n")
    for figure in figures(store):
        write_figure(figure, folder)
    plots = [*_write_plots(tables, store), *written_figures(folder)]
    done = trainings(store)
    write_whole(folder / _TRAININGS, render_trainings(done, folder) + "\n")
    write_whole(index, _index(tables, plots, len(done)))
    print(f"wrote {len(tables)} tables, {len(plots)} plots and {len(done)} trainings to {index}")
    if failures:
        raise typer.Exit(1)


def _file_name(table: JoinedTable) -> str:
    return f"table_{table.paper.id}.md"


def _write_plots(tables: list[JoinedTable], store: Store) -> Iterator[tuple[str, str]]:
    """Writes the plots and yields each one's title and file name, without its ending."""
    from mogabench.files import slug, write_whole
    from mogabench.tables.plots import parameter_points, scatter, throughput_points

    def write(points: list[Point], title: str, name: str, cost: str) -> tuple[str, str]:
        for ending, picture in scatter(points, title=title, cost=cost).items():
            write_whole(store.results / f"{name}.{ending}", picture)
        return title, name

    by_id = {table.paper.id: table for table in tables}
    points = parameter_points(by_id["3"])
    if points:
        title = "Figure 1 (left): accuracy against parameters at 224 x 224"
        yield write(points, title, "figure_1_parameters", "parameters (M), measured; SLaK sparse")
    printed = [by_id[name].paper for name in ("3", "2", "A15")]
    for dtype in ("float32", "bfloat16"):
        by_device = throughput_points(printed, store, dtype=dtype, compiled=False)
        for device, networks in by_device.items():
            title = f"Figure A3: accuracy against throughput, {device}, {dtype}"
            name = f"figure_A3_{slug(device)}_{dtype}"
            yield write(networks, title, name, "images per second, measured")


def _index(tables: list[JoinedTable], plots: list[tuple[str, str]], trainings: int) -> str:
    from mogabench.analysis.figures import FOLDER
    from mogabench.tables.grid import total_lines
    from mogabench.tables.verdict import Status

    shown = [status for status in Status if any(table.count(status) for table in tables)]
    heads = " | ".join(status.replace("_", " ") for status in shown)
    lines = [
        "# Results",
        "",
        f"{_WRITTEN_BY} from `records/*.jsonl` here and in the package; never edited by hand.",
        "",
        *total_lines(tables),
        "",
        f"[What is unexplained, with what was tried]({_UNEXPLAINED})",
        "",
        f"| table | title | rows | {heads} |",
        f"| --- | --- | ---: |{' ---: |' * len(shown)}",
    ]
    for table in tables:
        counts = " | ".join(str(table.count(status)) for status in shown)
        link = f"[{table.paper.id}]({_file_name(table)})"
        lines.append(f"| {link} | {table.paper.title} | {len(table.rows)} | {counts} |")
    text = "trainings done here, with their metrics, curves and pictures"
    lines += ["", f"[{trainings} {text}]({_TRAININGS})"]
    for title, name in plots:
        lines += ["", f"## {title}", "", f"![{title}]({name}.png)", ""]
        numbers = f", [CSV]({name}.csv)" if name.startswith(f"{FOLDER}/") else ""
        lines.append(f"[SVG]({name}.svg), [PDF]({name}.pdf){numbers}")
    return "\n".join(lines) + "\n"

"""``mogabench report``: every table, the plots and an index, written to the results folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.options import (
    ImportOption,
    PaperOption,
    PapersOption,
    QuietOption,
    ResultsOption,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mogabench.paper import Paper
    from mogabench.records import Record, Store
    from mogabench.tables.join import JoinedTable
    from mogabench.tables.points import Scatter

_WRITTEN_BY = "Written by `mogabench report`"
_PAGE = "index.html"
_TRAININGS = "trainings.md"
_UNEXPLAINED = "unexplained.md"


def report(
    paper: PaperOption = None,
    papers: PapersOption = None,
    packages: ImportOption = None,
    results: ResultsOption = None,
    fresh: Annotated[bool, typer.Option(help="Count again, even what has a record.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Write every table, the plots and a page to explore them.

    Missing parameters and operations are counted first. The report of a paper other than MogaNet's
    goes to papers/NAME in the results folder; analyses and trainings are in MogaNet's.
    """
    from mogabench.errors import UserError
    from mogabench.files import replaced_together, write_whole
    from mogabench.paper import get_paper, paper_figures
    from mogabench.records import open_store
    from mogabench.tables.measured import measured_tables
    from mogabench.tables.page import render_page
    from mogabench.tables.points import scatters
    from mogabench.tables.rendering.markdown import render_markdown
    from mogabench.tables.unexplained import render_unexplained

    chosen, store = get_paper(paper, papers), open_store(results)
    folder = store.results if chosen.is_default else store.results / "papers" / chosen.name
    index = folder / "README.md"
    if index.exists() and _WRITTEN_BY not in index.read_text():
        raise UserError(f"{index} is not a report's index; give another folder with --results")
    paper_figures(chosen)  # what is malformed is refused before anything is counted
    tables, failures = measured_tables(
        chosen, ["all"], store, packages=packages, fresh=fresh, quiet=quiet
    )
    analyses = _write_analyses(store) if chosen.is_default else []
    with replaced_together(folder):
        for table in tables:
            write_whole(folder / _file_name(table), render_markdown([table]) + "\n")
        write_whole(folder / _UNEXPLAINED, render_unexplained(tables) + "\n")
        shown = scatters(tables, store)
        plots = [*_write_plots(shown, folder), *((*analysis, "") for analysis in analyses)]
        done = _write_trainings(store) if chosen.is_default else []
        page = render_page(tables, scatters=shown, trainings=done, results=folder)
        write_whole(folder / _PAGE, page + "\n")
        write_whole(index, _index(tables, plots, len(done), _other_papers(folder)))
    print(
        f"wrote {len(tables)} tables, {len(plots)} plots and {len(done)} trainings to {index}; "
        f"{folder / _PAGE} shows them in a browser"
    )
    if failures:
        raise typer.Exit(1)


def _write_analyses(store: Store) -> list[tuple[str, str]]:
    """Writes the analyses' plots; returns each one's title and file name, without its ending."""
    from mogabench.analysis.figures import write_figure, written_figures
    from mogabench.analysis.interaction.figure import figures

    for figure in figures(store):
        write_figure(figure, store.results)
    return list(written_figures(store.results))


def _write_trainings(store: Store) -> list[Record]:
    from mogabench.files import write_whole
    from mogabench.tables.trainings import render_trainings, trainings

    done = trainings(store)
    write_whole(store.results / _TRAININGS, render_trainings(done, store.results) + "\n")
    return done


def _other_papers(folder: Path) -> list[str]:
    """The papers whose reports stand below this one's."""
    return sorted(index.parent.name for index in folder.glob("papers/*/README.md"))


def _file_name(table: JoinedTable) -> str:
    return f"table_{table.paper.id}.md"


def _write_plots(plots: list[Scatter], folder: Path) -> Iterator[tuple[str, str, str]]:
    """Writes the plots and yields each one's title, file name without its ending, and text."""
    from mogabench.files import write_whole
    from mogabench.tables.plots import draw_scatter
    from mogabench.tables.standing import standing_text

    for plot in plots:
        for ending, picture in draw_scatter(plot).items():
            write_whole(folder / f"{plot.name}.{ending}", picture)
        yield plot.title, plot.name, standing_text(plot)


def _title(paper: Paper) -> list[str]:
    about = paper.about
    return [f"# {about.name}: results", "", f"Printed figures: {about.title}, {about.source}."]


def _index(
    tables: list[JoinedTable], plots: list[tuple[str, str, str]], trainings: int, others: list[str]
) -> str:
    from urllib.parse import quote

    from mogabench.analysis.figures import FOLDER
    from mogabench.escaping import markdown_field, markdown_text
    from mogabench.tables.grid import total_lines
    from mogabench.tables.verdict import Status

    shown = [status for status in Status if any(table.count(status) for table in tables)]
    heads = " | ".join(status.replace("_", " ") for status in shown)
    paper = tables[0].paper.paper
    lines = [
        *(["# Results"] if paper.is_default else _title(paper)),
        "",
        f"{_WRITTEN_BY} from `records/*.jsonl` here and in the package; never edited by hand.",
        "",
        *total_lines(tables),
        "",
        f"[One page to explore them]({_PAGE}), to open in a browser: tables to sort and filter,",
        "plots whose points are rows, and what is known of each cell.",
        "",
        f"[What is unexplained, with what was tried]({_UNEXPLAINED})",
        "",
        f"| table | title | rows | {heads} |",
        f"| --- | --- | ---: |{' ---: |' * len(shown)}",
    ]
    for table in tables:
        counts = " | ".join(str(table.count(status)) for status in shown)
        id_, title = map(markdown_field, (table.paper.id, table.paper.title))
        link = f"[{id_}]({quote(_file_name(table))})"
        lines.append(f"| {link} | {title} | {len(table.rows)} | {counts} |")
    if others:
        links = ", ".join(
            f"[{markdown_text(name)}](papers/{quote(name)}/README.md)" for name in others
        )
        lines += ["", f"Other papers: {links}"]
    if trainings:
        text = "trainings done here, with their metrics, curves and pictures"
        lines += ["", f"[{trainings} {text}]({_TRAININGS})"]
    for title, name, text in plots:
        head, file = markdown_text(title), quote(name)
        lines += ["", f"## {head}", "", f"![{head}]({file}.png)", "", *[text, ""] * bool(text)]
        numbers = f", [CSV]({file}.csv)" if name.startswith(f"{FOLDER}/") else ""
        lines.append(f"[SVG]({file}.svg), [PDF]({file}.pdf){numbers}")
    return "\n".join(lines) + "\n"

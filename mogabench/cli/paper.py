"""``mogabench paper``: for authors of a paper's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mogabench.cli.options import ImportOption

app = typer.Typer(help="Write the folder of a new paper, or check one.", no_args_is_help=True)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The paper's name, such as mynet.")],
) -> None:
    """Write a paper's folder with an example table, below this folder."""
    from mogabench.console import print_line
    from mogabench.escaping import command_line
    from mogabench.paper.skeleton import write_skeleton

    folder = write_skeleton(name, Path())
    print_line(f"wrote {folder}/ with an example; then:")
    print_line(f"  {command_line('paper', 'check', folder)}")
    print_line(f"  {command_line('table', '--papers', '.', '--paper', name, 'all')}")


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The paper's folder.")],
    packages: ImportOption = None,
) -> None:
    """List what of a paper is measured, what is not, and why.

    Exits with status 2 where a file is malformed.
    """
    from mogabench.catalogue import import_packages
    from mogabench.console import print_error, print_pairs
    from mogabench.errors import UserError
    from mogabench.paper import Paper, get_paper, paper_names
    from mogabench.tables.checking import check_table, file_problems

    import_packages(packages)
    paper = Paper(folder.resolve().name, folder)
    problems = [*file_problems(paper), *paper.problems.values()]
    if paper.name in paper_names() and get_paper(paper.name).folder.resolve() != folder.resolve():
        problems.append(f"there is another paper '{paper.name}'; rename the folder")
    about = paper.about
    print_pairs([("paper", f"{about.name}: {about.title}"), ("source", about.source)])
    for name in paper.table_ids:
        if name not in paper.problems:
            try:
                print_pairs(check_table(paper.table(name)))
            except UserError as error:  # of a file that the table needs, such as counting.yaml
                problems.append(str(error))
    if not paper.table_ids:
        problems.append(f"{folder} has no table: add table_1_<title>.csv")
    for problem in dict.fromkeys(problems):
        print_error(problem)
    if problems:
        raise typer.Exit(2)

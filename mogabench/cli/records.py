"""``mogabench records``: gathers, compares and checks records of results folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mogabench.cli.options import ResultsOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.records import Record
    from mogabench.records.exchange import Conflict

app = typer.Typer(
    help="Gather, compare or check the records of results folders.", no_args_is_help=True
)


@app.command("merge")
def merge_records(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR…", help="Results folders.")],
    results: ResultsOption = None,
) -> None:
    """Add the records of other results folders to yours.

    A record that is there already is not added again. Records that answer the same question with
    different figures are shown, and added.
    """
    from mogabench.console import print_line
    from mogabench.records import open_store
    from mogabench.records.exchange import merge

    store = open_store(results)
    found = merge(store, folders)
    _print_conflicts(found.conflicts)
    print_line(
        f"{len(found.new)} added to {store.folder}, {found.known} known, "
        f"{len(found.conflicts)} in conflict"
    )


@app.command("diff")
def diff_records(
    ours: Annotated[Path, typer.Argument(metavar="A", help="A results folder.")],
    theirs: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
) -> None:
    """List in which records two results folders differ.

    Lists the records that only one of them has, and those in conflict. The exit status is 1 where
    there is any.
    """
    from mogabench.console import print_line
    from mogabench.records.exchange import compare_folders, open_whole

    one, other = open_whole(ours, "compared"), open_whole(theirs, "compared")
    added, removed = compare_folders(one, other), compare_folders(other, one)
    _print_records("-", removed.new)
    _print_records("+", added.new)
    _print_conflicts(added.conflicts)
    print_line(
        f"{len(removed.new)} only in {ours} (-), {len(added.new)} only in {theirs} (+), "
        f"{added.known} in both, {len(added.conflicts)} in conflict"
    )
    if added.new or removed.new:
        raise typer.Exit(1)


@app.command("check")
def check_records(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
) -> None:
    """List what is wrong with a folder's records.

    Lists lines that cannot be read, lines that a killed process left unfinished, and records that
    are there twice. The exit status is 1 where there is any.
    """
    from mogabench.console import print_line
    from mogabench.records import Store
    from mogabench.records.exchange import check

    problems = check(folder)
    for problem in problems:
        print_line(problem)
    if problems:
        raise typer.Exit(1)
    print_line(f"{sum(1 for _ in Store(folder).all())} records, all readable")


def _print_records(mark: str, records: Sequence[Record]) -> None:
    from mogabench.console import print_line

    for record in records:
        print_line(f"{mark} {record.id} {record.kind} {record.subject.key}")


def _print_conflicts(conflicts: Sequence[Conflict]) -> None:
    from mogabench.console import print_line

    for conflict in conflicts:
        ours, theirs = conflict.ours.values, conflict.theirs.values
        figures = ", ".join(
            f"{name} {ours[name].value:.10g} and {theirs[name].value:.10g}"
            for name in conflict.differing
        )
        print_line(
            f"conflict: {conflict.ours.id} and {conflict.theirs.id}, "
            f"{conflict.ours.subject.key}: {figures}"
        )

"""The command line: one module per command."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from mogabench import __version__
from mogabench.cli import (
    analyze,
    compare,
    count,
    doctor,
    explain,
    export,
    listing,
    paper,
    predict,
    profile,
    records,
    report,
    show,
    sweep,
    table,
)
from mogabench.cli.task_commands import TaskGroup

app = typer.Typer(
    name="mogabench",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's takes three times as long to appear
    context_settings={"help_option_names": ["-h", "--help"]},  # of the commands as well
)
tasks_app = typer.Typer(
    cls=TaskGroup,
    help="Count, time, train or evaluate one network of a task.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"mogabench {__version__}")
        raise typer.Exit


@app.callback()
def choose_command(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Reproduce the tables of the MogaNet paper, and train and compare networks.

    Start with 'mogabench table 3'. 'mogabench COMMAND --help' shows the options of a command.
    """


@tasks_app.callback()
def choose_task() -> None:
    """Exists because typer wants a group without commands of its own to have a callback."""


app.add_typer(tasks_app, name="run")
app.command()(count.count)
app.command()(profile.profile)
app.command()(predict.predict)
app.command()(export.export)
app.command()(sweep.sweep)
app.command()(table.table)
app.command()(compare.compare)
app.command()(explain.explain)
app.command()(report.report)
app.add_typer(analyze.app, name="analyze")
app.add_typer(listing.app, name="list")
app.add_typer(paper.app, name="paper")
app.add_typer(records.app, name="records")
app.command()(show.show)
app.command()(doctor.doctor)

_INTERRUPTED = 130


def main() -> None:
    """Runs the command line; a user's mistake ends in one line and status 2, never a traceback."""
    from mogabench.console import print_error, show_messages
    from mogabench.errors import AlreadyReportedError, UserError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for any name on any terminal
    show_messages()
    try:
        app()
    except AlreadyReportedError as silent:
        sys.exit(silent.status)
    except UserError as error:
        print_error(error)
        sys.exit(2)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            print_error("interrupted; what was finished is kept")
        raise

"""The command line: one module per command."""

from __future__ import annotations

import sys

import typer

from mogabench.cli import doctor, explain, listing, profile, report, show, table
from mogabench.cli.task_commands import TaskGroup

app = typer.Typer(
    name="mogabench",
    help="Reproduce every table of the MogaNet paper: printed, measured, and the difference.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's takes three times as long to appear
)
tasks_app = typer.Typer(
    cls=TaskGroup,
    help="Measure one network of a task: parameters, operations, throughput and quality.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@tasks_app.callback()
def choose_task() -> None:
    """Exists because typer wants a group without commands of its own to have a callback."""


app.add_typer(tasks_app, name="run")
app.command()(profile.profile)
app.command()(table.table)
app.command()(explain.explain)
app.command()(report.report)
app.add_typer(listing.app, name="list")
app.command()(show.show)
app.command()(doctor.doctor)

_INTERRUPTED = 130


def main() -> None:
    """Runs the command line; a user's mistake ends in one line and status 2, never a traceback."""
    from mogabench.console import print_error, show_messages
    from mogabench.errors import UserError

    show_messages()
    try:
        app()
    except UserError as error:
        print_error(error)
        sys.exit(2)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            print_error("interrupted; what was finished is kept")
        raise

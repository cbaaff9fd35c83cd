"""The command line: one module per command, each with one function of that name."""

from __future__ import annotations

import sys

import typer

from mogabench.cli import doctor, listing, profile, report, run, show, table

app = typer.Typer(
    name="mogabench",
    help="Reproduce every table of the MogaNet paper: printed, measured, and the difference.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich's takes three times as long to appear
)
app.command()(run.run)
app.command()(profile.profile)
app.command()(table.table)
app.command()(report.report)
app.add_typer(listing.app, name="list")
app.command()(show.show)
app.command()(doctor.doctor)

_INTERRUPTED = 130


def main() -> None:
    """Runs the command line; a user's mistake ends in one line and status 2, never a traceback."""
    from mogabench.console import show_messages
    from mogabench.errors import UserError

    show_messages()
    try:
        app()
    except UserError as error:
        print(f"mogabench: {error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            print("mogabench: interrupted; what was finished is kept", file=sys.stderr)
        raise

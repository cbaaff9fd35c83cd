"""The command line: one module per command, each with one function of that name."""

from __future__ import annotations

import sys

import typer

from mogabench.cli import doctor, list_, profile, report, run, show, table

app = typer.Typer(
    name="mogabench",
    help="Reproduce every table of the MogaNet paper: printed, measured, and the difference.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command("run")(run.run)
app.command("profile")(profile.profile)
app.command("table")(table.table)
app.command("report")(report.report)
app.add_typer(list_.app, name="list")
app.command("show")(show.show)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Runs the command line; a user's mistake ends in one line and status 2, never a traceback."""
    from mogabench.errors import UserError

    try:
        app()
    except UserError as error:
        print(f"mogabench: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("mogabench: interrupted; what was finished is kept", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)

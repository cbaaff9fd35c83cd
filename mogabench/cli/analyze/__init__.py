"""``mogabench analyze``: the counterparts of the paper's analyses, one module per command."""

from __future__ import annotations

import typer

from mogabench.cli.analyze.interaction import interaction

app = typer.Typer(
    help="What trained classifiers have learned: the paper's analyses, on your networks and data.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def choose_analysis() -> None:
    """Exists because typer makes a group with one command into that command."""


app.command()(interaction)

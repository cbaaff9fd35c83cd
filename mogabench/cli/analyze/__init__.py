"""``mogabench analyze``: the counterparts of the paper's analyses, one module per command."""

from __future__ import annotations

import typer

from mogabench.cli.analyze.ablation import ablation
from mogabench.cli.analyze.channels import channels
from mogabench.cli.analyze.gradcam import gradcam
from mogabench.cli.analyze.interaction import interaction
from mogabench.cli.analyze.receptive_field import receptive_field

app = typer.Typer(
    help="Run the paper's analyses of networks and of trained weights.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command()(ablation)
app.command()(gradcam)
app.command()(interaction)
app.command()(receptive_field)
app.command()(channels)

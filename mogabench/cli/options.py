"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mogabench.cli.completion import (
    complete_network,
    complete_paper,
    complete_recipe,
    complete_variant,
)

ResultsOption = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="DIR",
        help="Your results, which take precedence over the packaged records; default: mogabench in "
        "$XDG_DATA_HOME or ~/.local/share.",
    ),
]
PaperOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A paper of 'mogabench list papers'; default: MogaNet's.",
        autocompletion=complete_paper,
    ),
]
PapersOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="A folder with papers of yours, each in its own folder."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Plain lines, no progress bar.")]
FormatOption = Annotated[
    Literal["text", "json"], typer.Option("--format", "-f", help="json: for programs.")
]
ImportOption = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="NAME|PATH",
        help="A package or a .py file with backbones or a task.",
    ),
]
VariantOption = Annotated[
    str | None,
    typer.Option(
        "--variant",
        "-v",
        help="A MogaNet size: xt, t, s, b, l, xl, or its long name.",
        autocompletion=complete_variant,
    ),
]
BackboneOption = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        metavar="NAME",
        help="Any other timm model.",
        autocompletion=complete_network,
    ),
]
MethodOption = Annotated[str | None, typer.Option(help="One of the task's methods.")]
SizeOption = Annotated[
    str | None,
    typer.Option(metavar="N|HxW", help="Input size; default: the task's."),
]
StatedSizeOption = Annotated[
    str | None,
    typer.Option(metavar="N|HxW", help="Input size; default: the weights', or the task's."),
]
OptionsOption = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="A keyword argument of the backbone."),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="See 'mogabench list recipes'.",
        autocompletion=complete_recipe,
    ),
]
OverridesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the recipe."),
]

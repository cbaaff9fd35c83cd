"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ResultsOption = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="DIR",
        help="Folder to write to, read over the packaged records; by default mogabench in "
        "$XDG_DATA_HOME or ~/.local/share.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Plain lines, no progress bar.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
ImportOption = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="PACKAGE",
        help="A package with backbones or a task.",
    ),
]
VariantOption = Annotated[
    str | None,
    typer.Option("--variant", "-v", help="A MogaNet size: xt, t, s, b, l, xl, or its long name."),
]
BackboneOption = Annotated[
    str | None,
    typer.Option("--backbone", metavar="NAME", help="Any other timm model."),
]
RecipeOption = Annotated[
    str | None, typer.Option(metavar="NAME|FILE", help="See 'mogabench list recipes'.")
]
OverridesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a field of the recipe."),
]

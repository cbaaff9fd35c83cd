"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mogabench.cli.completion import (
    complete_network,
    complete_paper,
    complete_recipe,
    complete_task,
    complete_variant,
)
from mogabench.defaults import DEFAULT_TASK

ResultsOption = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="DIR",
        help="Folder of your results, which take precedence over the packaged records; default: "
        "mogabench in $XDG_DATA_HOME or ~/.local/share.",
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
    typer.Option(metavar="DIR", help="Folder with papers of your own, each in a folder."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Plain lines, no progress bar.")]
FormatOption = Annotated[
    Literal["text", "json"], typer.Option("--format", "-f", help="json is for programs.")
]
ImportOption = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="NAME|PATH",
        help="Import a package or a .py file that registers backbones or a task; repeat for more.",
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
MethodOption = Annotated[
    str | None, typer.Option(help="A method of the task, see 'mogabench list tasks'.")
]
SizeOption = Annotated[
    str | None,
    typer.Option(metavar="N|HxW", help="Input size; default: the task's."),
]
StatedTaskOption = Annotated[
    str | None,
    typer.Option(
        help=f"The network's task; default: the weights', or {DEFAULT_TASK}.",
        autocompletion=complete_task,
    ),
]
StatedSizeOption = Annotated[
    str | None,
    typer.Option(metavar="N|HxW", help="Input size; default: the weights', or the task's."),
]
OptionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="A keyword argument of the backbone; repeat for more.",
    ),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="A recipe of 'mogabench list recipes', or a YAML file.",
        autocompletion=complete_recipe,
    ),
]
OverridesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a setting of the recipe, such as schedule.epochs=5; repeat for more.",
    ),
]

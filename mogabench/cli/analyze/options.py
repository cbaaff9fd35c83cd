"""Options that the analyses share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelsOption = Annotated[
    str,
    typer.Option(
        metavar="NAME,…", help="timm names, or xt to xl; NAME?OPTION=VALUE&… sets their options."
    ),
]
WeightsOption = Annotated[
    list[str],
    typer.Option(
        metavar="official|none|FILE",
        help="A file for each network, in order: repeat the option; 'official' for all, or "
        "'none' for random ones.",
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|sample",
        help="Images in class folders; networks without weights get noise.",
    ),
]
ClassMapOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Lists the class folders in label order, one a line."),
]

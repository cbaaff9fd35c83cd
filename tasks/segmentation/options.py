"""What segmentation adds to the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from mogabench.engine.task import TaskOptions


class SegmentationOptions(TaskOptions):
    """What segmentation adds to the command line."""

    class_map: Path | None = Field(
        None,
        description="Lists the names of the masks' classes in the order of their ids, one a line; "
        "default: the weights', in an evaluation, or ADE20K's.",
        json_schema_extra={"metavar": "FILE"},
    )
    mask_zero: Literal["ignore", "class"] | None = Field(
        None,
        description="What 0 in the masks is. ignore: none of the classes, which are numbered from "
        "1; class: the first class. Default: as the weights were trained, or else ignore, as in "
        "ADE20K, unless the masks leave it open.",
    )

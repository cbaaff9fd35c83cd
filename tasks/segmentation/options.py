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
        description="Names of the masks' classes in the order of their ids, one a line; "
        "default: ADE20K's.",
        json_schema_extra={"metavar": "FILE"},
    )
    mask_zero: Literal["ignore", "class"] | None = Field(
        None,
        description="Whether 0 in the masks is none of the classes, which then count from 1, or "
        "the first class; default: ignore, as ADE20K has it, unless the masks make that doubtful.",
    )

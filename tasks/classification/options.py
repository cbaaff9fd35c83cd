"""What classification adds to the command line."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from mogabench.engine.task import TaskOptions


class ClassificationOptions(TaskOptions):
    """What classification adds to the command line."""

    class_map: Path | None = Field(
        None,
        description="Lists the class folders in label order, one a line; default: sorted by name.",
        json_schema_extra={"metavar": "FILE"},
    )

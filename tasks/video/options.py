"""What video prediction adds to the command line."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from mogabench.engine.task import TaskOptions
from mogabench.errors import UserError
from mogabench.tasks.video.layout import Layout


class VideoOptions(TaskOptions):
    """What video prediction adds to the command line."""

    in_frames: PositiveInt | None = Field(
        None,
        description="Input frames; default: the first number of --size.",
        json_schema_extra={"metavar": "N"},
    )
    out_frames: PositiveInt | None = Field(
        None,
        description="Frames to predict in sequences of your own; default: as many as the input "
        "has. If more, the later ones are predicted from predicted ones.",
        json_schema_extra={"metavar": "N"},
    )
    layout: Layout | None = Field(
        None,
        description="Axes of your arrays: sequences, time, channels, height, width.",
    )
    check: Literal["openstl"] | None = Field(
        None,
        description="Compare frames and metrics with those of OpenSTL, from the same weights.",
    )

    def input_size(self, size: tuple[int, ...], *, given_by: str = "") -> tuple[int, ...]:
        """Frames, channels, height and width, the frames by ``--in-frames``."""
        if self.in_frames is None:
            return size
        if given_by and size[0] != self.in_frames:
            raise UserError(
                f"--in-frames {self.in_frames} contradicts the {size[0]} input frames of "
                f"{given_by}: leave it out"
            )
        return (self.in_frames, *size[1:])

"""The schema of recipes for video prediction."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from mogabench.recipes.schema import Model, OneCycleSchedule, Recipe


class VideoModel(Model):
    """The size of SimVP; the defaults are the paper's."""

    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the last block; as in OpenSTL the rate goes there linearly from 0.01 at the first."""
    encoder_dim: PositiveInt = 64
    """Channels of a frame's features."""
    hidden_dim: PositiveInt = 512
    """Channels inside the translator."""
    depth: Annotated[int, Field(ge=2)] = 8
    """Blocks of the translator."""


class VideoRecipe(Recipe):
    """A recipe for video prediction (Table A14); the loss is the mean squared error.

    Its variants are translators.
    """

    task: Literal["video"]
    schedule: OneCycleSchedule
    model: VideoModel
    sequences: PositiveInt
    """Drawn anew for each epoch."""

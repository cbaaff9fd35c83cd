"""The schema of recipes for video prediction."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt

from mogabench.recipes.schedules import OneCycleSchedule
from mogabench.recipes.schema import Model, Recipe
from mogabench.recipes.section import Section


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


class VideoInput(Section):
    """What the network sees."""

    size: Annotated[tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt], Field(strict=False)]
    """Frames, channels, height and width."""


class VideoRecipe(Recipe):
    """A recipe for video prediction (Table A14); the loss is the mean squared error.

    Its variants are translators.
    """

    task: Literal["video"]
    schedule: OneCycleSchedule
    model: VideoModel
    sequences: PositiveInt
    """Drawn anew for each epoch."""
    divergence: Annotated[float, Field(ge=0)] | None = None
    """Weight of the differential divergence, which the loss then has as well (TAU)."""
    input: VideoInput | None = None
    """None leaves the size to the subject."""

    added_later: ClassVar[tuple[str, ...]] = (*Recipe.added_later, "divergence", "input")

    @property
    def size(self) -> tuple[int, ...] | None:
        """The size that it also trains at."""
        return None if self.input is None else self.input.size

    def at_size(self, size: tuple[int, ...]) -> Self:
        """Sequences of another size, where the recipe has one."""
        return self if self.input is None else self.replace({"input": {"size": size}})

"""The schema of recipes for 3D hands and faces."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from mogabench.recipes.schedules import StepSchedule
from mogabench.recipes.schema import Recipe
from mogabench.recipes.section import Fraction, Section


class MeshInput(Section):
    """The network's input."""

    size: Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)]
    """Height and width in pixels."""


class MeshAugment(Section):
    """Augmentation of a picture; 0 is off."""

    flip: Fraction
    """How often left and right change places; a right hand would become a left one."""
    shift: NonNegativeFloat
    """Farthest move, relative to the picture."""
    scale: Annotated[float, Field(ge=0, lt=1)]
    """Standard deviation of the picture's size around 1, which is also the farthest from 1."""
    rotation: NonNegativeFloat
    """Standard deviation in degrees; the farthest is twice that."""
    rotation_prob: Fraction
    channel_noise: Annotated[float, Field(ge=0, lt=1)]
    """Each colour is multiplied by up to so much more or less than 1."""
    low_resolutions: Annotated[tuple[Annotated[float, Field(ge=1)], ...], Field(strict=False)]
    """The picture is made smaller by one of these factors, and then large again."""


class MeshLoss(Section):
    """What each loss weighs; 0 is off."""

    keypoints: NonNegativeFloat
    """L1 between projected and annotated key points, from -1 to 1 in the picture, summed."""
    rotations: NonNegativeFloat
    """The angle between the whole body's rotations in radians, plus the mean of the joints'."""
    shape: NonNegativeFloat
    """Squared error of the shape's coefficients, summed."""
    expression: NonNegativeFloat
    """Squared error of the expression's coefficients, summed; of faces that are not mirrored."""
    shape_prior: NonNegativeFloat
    """Mean square of the shape's coefficients beyond ``margin``."""
    margin: PositiveFloat


class MeshRecipe(Recipe):
    """A recipe for 3D hands and faces (Appendix A.6)."""

    task: Literal["mesh"]
    schedule: StepSchedule
    input: MeshInput
    augment: MeshAugment
    loss: MeshLoss

    @model_validator(mode="after")
    def _keeps_hands_right(self) -> MeshRecipe:
        if self.augment.flip and self.method != "expose_face":
            raise ValueError("augment.flip is for faces only: it makes a right hand a left one")
        return self

    @model_validator(mode="after")
    def _leaves_pixels(self) -> MeshRecipe:
        lowest, side = max(self.augment.low_resolutions, default=1.0), min(self.input.size)
        if lowest > side:
            raise ValueError(
                f"augment.low_resolutions: {lowest:g} leaves no pixel of an input of {side}"
            )
        return self

    @property
    def size(self) -> tuple[int, int]:
        """The size that it also trains at."""
        return self.input.size

    def at_size(self, size: tuple[int, ...]) -> Self:
        """Another input size."""
        return self.replace({"input": {"size": size}})

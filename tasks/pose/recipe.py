"""The schema of recipes for 2D human pose."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from mogabench.recipes.schedules import StepSchedule
from mogabench.recipes.schema import Recipe
from mogabench.recipes.section import Fraction, Section


class PoseInput(Section):
    """The network's input."""

    size: Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)]
    """Height and width in pixels."""


class PoseAugment(Section):
    """Augmentation of a person's view; 0 is off."""

    flip: Fraction
    """How often left and right change places."""
    half_body: Fraction
    """How often only the upper or the lower body is shown, of persons with over 8 key points."""
    shift: NonNegativeFloat
    """Farthest move, relative to the view."""
    shift_prob: Fraction
    scale: Annotated[float, Field(ge=0, lt=1)]
    """Standard deviation of the view's size around 1, which is also the farthest from 1."""
    rotation: NonNegativeFloat
    """Standard deviation in degrees; the farthest is twice that."""
    rotation_prob: Fraction


class PoseTargets(Section):
    """The heat maps to learn."""

    sigma: PositiveFloat
    """Of the Gaussians, in cells of four pixels."""
    encoding: Literal["unbiased", "rounded"]
    """Whether a Gaussian is where the key point is, or at the nearest cell."""


class PoseTest(Section):
    """How heat maps become key points."""

    flip: bool = True
    """Whether the mirrored picture is looked at, too."""
    decoding: Literal["quarter_pixel", "taylor"] = "quarter_pixel"
    """How a place is refined within its cell."""


class PoseRecipe(Recipe):
    """A recipe for 2D human pose (Appendix A.5)."""

    task: Literal["pose"]
    schedule: StepSchedule
    input: PoseInput
    augment: PoseAugment
    targets: PoseTargets
    test: PoseTest

    of_test: ClassVar[tuple[str, ...]] = ("test.flip", "test.decoding")

    @property
    def size(self) -> tuple[int, int]:
        """The size that it also trains at."""
        return self.input.size

    def at_size(self, size: tuple[int, ...]) -> Self:
        """Another input size; the targets stay as they are."""
        return self.replace({"input": {"size": size}})

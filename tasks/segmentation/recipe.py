"""The schema of recipes for semantic segmentation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from mogabench.errors import UserError
from mogabench.recipes.schedules import PolySchedule
from mogabench.recipes.schema import Recipe
from mogabench.recipes.section import Fraction, Section

LONG_SIDE = 4
"""The longest that an image may be, as a multiple of the short side that it is resized to."""


class SegmentationInput(Section):
    """Image sizes in pixels."""

    short_side: PositiveInt
    """What the shorter side is resized to, unless the longer one would exceed four times that."""
    crop: PositiveInt
    """Side of the square pieces that are trained on."""
    test_divisor: PositiveInt | None
    """At test both sides are then stretched to a multiple of it; None leaves them as they are."""


class SegmentationAugment(Section):
    """Augmentation of the training images."""

    scale: Annotated[tuple[PositiveFloat, PositiveFloat], Field(strict=False)] = (0.5, 2.0)
    """Smallest and largest random factor on ``short_side``."""
    largest_class: Annotated[float, Field(gt=0, le=1)] = 0.75
    """A crop with a larger share of one class is drawn again, up to ten times."""
    hflip: Fraction = 0.5
    photometric: bool = True
    """Random brightness, contrast, saturation and hue."""

    @model_validator(mode="after")
    def _scales_from_small_to_large(self) -> SegmentationAugment:
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale {list(self.scale)} should have the smaller factor first")
        return self


class SegmentationRecipe(Recipe):
    """A recipe for semantic segmentation (Appendix A.4)."""

    task: Literal["segmentation"]
    schedule: PolySchedule
    input: SegmentationInput
    augment: SegmentationAugment

    of_test: ClassVar[tuple[str, ...]] = ("input.test_divisor",)

    @property
    def size(self) -> tuple[int, int]:
        """The size that images are resized to fit in, as the tables' operations are counted."""
        return (self.input.short_side, LONG_SIDE * self.input.short_side)

    @property
    def train_pixels(self) -> int:
        """Those of the crops."""
        return self.input.crop**2

    def at_size(self, size: tuple[int, ...]) -> Self:
        """Another short side, and crop too where the recipe has them equal.

        Raises:
            UserError: The long side is not four times the short one.
        """
        short = short_side(size)
        same = self.input.short_side == self.input.crop
        names = ("short_side", "crop") if same else ("short_side",)
        return self.replace({"input": dict.fromkeys(names, short)})


def short_side(size: tuple[int, ...]) -> int:
    """The short side that images of a size are resized to.

    Raises:
        UserError: The long side is not four times that.
    """
    short, long = size
    if long != LONG_SIDE * short:
        raise UserError(
            f"images to segment are resized to a short side and at most {LONG_SIDE} times that: "
            f"give --size {short}x{LONG_SIDE * short}, or leave it out"
        )
    return short

"""The schema of recipes for image classification."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from mogabench.errors import UserError
from mogabench.recipes.schedules import CosineSchedule
from mogabench.recipes.schema import Recipe
from mogabench.recipes.section import Fraction, ProperFraction, Section


class Input(Section):
    """Square image sizes in pixels and how images get there."""

    train_size: PositiveInt
    test_size: PositiveInt
    crop_ratio: Annotated[float, Field(gt=0, le=1)]
    """At test: the part of the resized image that the centre crop keeps."""
    interpolation: Literal["random", "bilinear", "bicubic"] = "random"
    """In training; ``random`` picks bilinear or bicubic per image, as timm does."""
    test_interpolation: Literal["bilinear", "bicubic"] = "bicubic"


class Augment(Section):
    """Augmentation of the training images; None or 0 is off."""

    crop_scale: Annotated[tuple[Fraction, Fraction], Field(strict=False)] = (0.08, 1.0)
    """Smallest and largest part of the area that a random resized crop keeps."""
    hflip: Fraction = 0.5
    rand_augment: Annotated[str, Field(pattern=r"^\d+/\d+(\.\d+)?$")] | None
    """Magnitude and its standard deviation, as the paper's tables write it: ``9/0.5``."""
    three_augment: bool = False
    """DeiT III's 3-Augment: grayscale, solarization or Gaussian blur."""
    color_jitter: NonNegativeFloat | None
    erasing: Fraction
    mixup: NonNegativeFloat
    """The alpha of Mixup's beta distribution."""
    cutmix: NonNegativeFloat
    """The alpha of CutMix's beta distribution."""
    mixup_prob: Fraction = 1.0
    """How often a batch is mixed at all."""
    mixup_switch: Fraction = 0.5
    """How often a mixed batch gets CutMix rather than Mixup, where both are on."""
    repeated: NonNegativeInt = 0
    """Copies of each image in a batch (repeated augmentation)."""

    @model_validator(mode="after")
    def _one_policy(self) -> Augment:
        if self.rand_augment and self.three_augment:
            raise ValueError("rand_augment and three_augment exclude each other")
        return self


class Loss(Section):
    """The training loss."""

    name: Literal["cross_entropy", "bce"]
    label_smoothing: ProperFraction
    target_threshold: Fraction | None = None
    """For ``bce``: mixed targets above it count as 1, the others as 0; None keeps them soft."""


class ClassificationRecipe(Recipe):
    """A recipe for image classification (Tables A2, A3 and A7)."""

    task: Literal["classification"]
    schedule: CosineSchedule
    input: Input
    augment: Augment
    loss: Loss

    of_test: ClassVar[tuple[str, ...]] = (
        "input.test_size",
        "input.crop_ratio",
        "input.test_interpolation",
    )

    @property
    def size(self) -> tuple[int, int]:
        """The side of the centre crop, twice."""
        return (self.input.test_size, self.input.test_size)

    @property
    def train_pixels(self) -> int:
        """Those of the squares that it trains on."""
        return self.input.train_size**2

    def at_size(self, size: tuple[int, ...]) -> Self:
        """Another test size, and training size too where the recipe trains at its test size.

        Raises:
            UserError: The images would not be square.
        """
        side = size[-1]
        if size != (side, side):
            raise UserError("recipes are for square images: give --size one number")
        same = self.input.train_size == self.input.test_size
        names = ("train_size", "test_size") if same else ("test_size",)
        return self.replace({"input": dict.fromkeys(names, side)})

    def check_changes(self) -> None:
        """Refuses changes that other settings leave without an effect: a record would state them.

        Raises:
            UserError: There is one.
        """
        of = self.augment
        jitters, mixes = of.color_jitter and of.rand_augment, of.mixup or of.cutmix
        reasons = {
            "augment.color_jitter": jitters and "rand_augment takes its place",
            "augment.mixup_prob": not mixes and "mixup and cutmix are off",
            "augment.mixup_switch": not (of.mixup and of.cutmix)
            and "mixup and cutmix are not both on",
            "loss.target_threshold": self.loss.name != "bce" and "it is for the loss bce",
        }
        for key, reason in reasons.items():
            if reason and self.changes.get(key) is not None:
                raise UserError(f"{key}={self.changes[key]} has no effect: {reason}")

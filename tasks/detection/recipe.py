"""The schema of recipes for object detection."""

from __future__ import annotations

from math import prod
from statistics import fmean
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from mogabench.recipes.schedules import StepSchedule
from mogabench.recipes.schema import Model, Recipe
from mogabench.recipes.section import Fraction, Section

Scale = Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)]
"""The largest long and the largest short side that an image is resized to fit, in pixels."""

COUNTED_SIZE = (800, 1280)
"""Height and width of the image that the paper's tables count operations on."""

_PAPER_SCALE = (1333, 800)
"""What the same tables' images are resized to fit (Appendix A.3)."""

Scales = Annotated[tuple[Scale, ...], Field(min_length=1, strict=False)]


def scale_of(size: tuple[int, ...]) -> Scale:
    """The scale that a size ``(H, W)`` of `DetectionRecipe.size` stands for."""
    return _PAPER_SCALE if size == COUNTED_SIZE else (max(size), min(size))


class Input(Section):
    """Image sizes in pixels; the aspect ratio is kept."""

    train_scales: Scales
    """One of them is picked for each image."""
    test_scale: Scale


class Crop(Section):
    """DETR's cropping, given to half of the images: resize, cut out, resize again."""

    scales: Scales
    """One of them is picked before the cut."""
    size: Scale
    """Smallest and largest side of the piece that is cut out."""

    @model_validator(mode="after")
    def _size_from_small_to_large(self) -> Crop:
        if self.size[0] > self.size[1]:
            raise ValueError(f"size {list(self.size)} should have the smaller side first")
        return self


class DetectionModel(Model):
    """What training changes in the detector."""

    roi_samples: PositiveInt = 512
    """Regions of an image that each stage after the first learns from; RetinaNet has one stage."""


class Augment(Section):
    """Augmentation of the training images; None is off."""

    hflip: Fraction
    crop: Crop | None


class DetectionRecipe(Recipe):
    """A recipe for object detection and instance segmentation (Section A.3)."""

    task: Literal["detection"]
    schedule: StepSchedule
    input: Input
    model: DetectionModel
    augment: Augment

    of_test: ClassVar[tuple[str, ...]] = ("input.test_scale",)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that images are resized to fit in.

        The size of the tables' counts stands for the scale of their average precision.
        """
        if self.input.test_scale == _PAPER_SCALE:
            return COUNTED_SIZE
        long, short = self.input.test_scale
        return (short, long)

    @property
    def train_pixels(self) -> float:
        """Those of `size` at each scale, on average, as if nothing was cut out."""
        factors = (
            min(one / at_test for one, at_test in zip(scale, self.input.test_scale, strict=True))
            for scale in self.input.train_scales
        )
        return prod(self.size) * fmean(factor**2 for factor in factors)

    def at_size(self, size: tuple[int, ...]) -> Self:
        """Another size to fit images in, at test and, in proportion, in training."""
        short, long = sorted(size)
        if (short, long) == self.size:
            return self
        scale = scale_of((short, long))
        old = self.input.test_scale
        factors = (scale[0] / old[0], scale[1] / old[1])
        changes: dict[str, Any] = {
            "input": {
                "test_scale": scale,
                "train_scales": tuple(_scale(s, factors) for s in self.input.train_scales),
            }
        }
        if self.augment.crop is not None:
            crop = self.augment.crop
            changes["augment"] = {
                "crop": {
                    "scales": tuple(_scale(s, factors) for s in crop.scales),
                    "size": _scale(crop.size, (factors[1], factors[1])),
                }
            }
        return self.replace(changes)


def _scale(pixels: tuple[int, int], factors: tuple[float, float]) -> tuple[int, int]:
    width, height = (max(1, round(s * f)) for s, f in zip(pixels, factors, strict=True))
    return width, height

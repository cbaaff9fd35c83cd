"""What a detection recipe may say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from mogabench.recipes.schema import Fraction, Model, Recipe, Section, StepSchedule

Scale = Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)]
"""The largest long and the largest short side that an image is resized to fit, in pixels."""

Scales = Annotated[tuple[Scale, ...], Field(min_length=1, strict=False)]


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

"""What a recipe may say: the sections of the paper's hyper-parameter tables, typed."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    model_validator,
)

Fraction = Annotated[float, Field(ge=0, le=1)]
"""A probability, a rate or a ratio."""


class Section(BaseModel):
    """A part of a recipe: nothing is converted silently, no key is ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Schedule(Section):
    """How long, and how the learning rate moves.

    The rate rises linearly from ``warmup_lr`` over ``warmup_epochs``, then falls along ``policy``
    to ``min_lr`` at ``epochs`` (the warm-up counts among them), then stays there for
    ``cooldown_epochs`` more.
    """

    epochs: PositiveInt
    warmup_epochs: NonNegativeInt
    warmup_lr: NonNegativeFloat = 1e-5
    min_lr: NonNegativeFloat = 1e-6
    policy: Literal["cosine"] = "cosine"
    cooldown_epochs: NonNegativeInt = 0

    @model_validator(mode="after")
    def _warms_up_within_the_epochs(self) -> Schedule:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs must be fewer than the {self.epochs} epochs")
        return self


class Optimizer(Section):
    """One of timm's optimizers; ``lr`` belongs to the recipe's ``batch_size``, never rescaled."""

    name: str
    lr: PositiveFloat
    weight_decay: NonNegativeFloat
    betas: Annotated[tuple[float, float], Field(strict=False)] = (0.9, 0.999)
    eps: PositiveFloat | None = None
    """None leaves the optimizer's own."""
    clip_grad: PositiveFloat | None = None
    """Largest norm of the whole gradient; None for no clipping."""


class Model(Section):
    """What training changes in the backbone."""

    drop_path: Annotated[float, Field(ge=0, lt=1)]
    """Stochastic depth of the last block; the rate grows linearly from 0 at the first."""


class Ema(Section):
    """Averaged weights; the decay grows exponentially over training (Appendix C.4)."""

    decay_start: Fraction = 0.9
    decay: Fraction = 0.9999


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
    label_smoothing: Fraction
    target_threshold: Fraction | None = None
    """For ``bce``: mixed targets above it count as 1, the others as 0; None keeps them soft."""


class Expected(Section):
    """What the paper prints for this recipe."""

    table: str
    values: dict[str, float]
    """By metric, in the metric's unit, such as ``top1`` in %."""


class Recipe(Section):
    """A training set-up as resolved for one variant; every task's recipes have these keys.

    Attributes:
        method: One of the task's methods.
        dataset: The identity of the training set, such as ``imagenet-1k``.
        batch_size: Images per optimizer step, over all devices and accumulated steps.
        expected: The figure to compare with; None where the paper prints none.
    """

    task: str
    method: str
    title: str
    dataset: str
    seed: NonNegativeInt
    batch_size: PositiveInt
    schedule: Schedule
    optimizer: Optimizer
    model: Model
    ema: Ema | None
    expected: Expected | None = None

    _name: str = PrivateAttr("")
    _variant: str | None = PrivateAttr(None)

    @property
    def name(self) -> str:
        """The recipe's file name, without its ending."""
        return self._name

    @property
    def variant(self) -> str | None:
        """The model size it was resolved for; None for the values that no size changes."""
        return self._variant

    @property
    def digest(self) -> str:
        """SHA-256 of the settings; equal for equal training, whatever it is called."""
        settings = self.model_dump(mode="json", exclude={"title", "expected"})
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def resolved_as(self, name: str, variant: str | None) -> None:
        """Notes where the settings came from (the loader calls it once)."""
        self._name, self._variant = name, variant


class ClassificationRecipe(Recipe):
    """A recipe for image classification (Tables A2, A3 and A7)."""

    task: Literal["classification"]
    dataset: Literal["imagenet-1k", "imagenet-21k", "sample"]
    input: Input
    augment: Augment
    loss: Loss

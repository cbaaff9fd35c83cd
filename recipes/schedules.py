"""The kinds of schedule of a learning rate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from mogabench.recipes.section import Section


class Schedule(Section):
    """How long, and how the learning rate moves; each task's recipes have one of the kinds below.

    The rate of a step is that of the optimizer section, changed as the kind says.
    """

    policy: str
    evaluate_every: PositiveInt = 1
    """Epochs from one evaluation to the next; the last step is always followed by one."""

    def total_steps(self, steps_per_epoch: int) -> int:
        """Optimizer steps in all."""
        raise NotImplementedError


class CosineSchedule(Schedule):
    """Along half a cosine.

    The rate rises linearly from ``warmup_lr`` over ``warmup_epochs``, then falls to ``min_lr`` at
    ``epochs`` (the warm-up counts among them), then stays there for ``cooldown_epochs`` more.
    """

    epochs: PositiveInt
    warmup_epochs: NonNegativeInt
    warmup_lr: NonNegativeFloat = 1e-5
    min_lr: NonNegativeFloat = 1e-6
    policy: Literal["cosine"] = "cosine"
    cooldown_epochs: NonNegativeInt = 0

    @model_validator(mode="after")
    def _warms_up_within_the_epochs(self) -> CosineSchedule:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs must be fewer than the {self.epochs} epochs")
        return self

    def total_steps(self, steps_per_epoch: int) -> int:
        """All epochs, the cool-down included."""
        return (self.epochs + self.cooldown_epochs) * steps_per_epoch


def _ascending(epochs: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(epochs))


class StepSchedule(Schedule):
    """In steps down: multiplied by ``gamma`` after each of the ``milestones``, in epochs.

    The rate rises linearly from ``warmup_lr`` over the first ``warmup_steps``. Milestones may be in
    any order, and are kept in ascending one.
    """

    epochs: PositiveInt
    milestones: Annotated[tuple[PositiveInt, ...], Field(strict=False), AfterValidator(_ascending)]
    gamma: PositiveFloat = 0.1
    warmup_steps: NonNegativeInt = 0
    warmup_lr: NonNegativeFloat = 0.0
    policy: Literal["step"] = "step"

    def total_steps(self, steps_per_epoch: int) -> int:
        """All epochs."""
        return self.epochs * steps_per_epoch


class PolySchedule(Schedule):
    """Along a polynomial of the remaining steps, down to ``min_lr`` at ``steps``.

    The rate rises linearly from ``warmup_lr`` over the first ``warmup_steps``, which count among
    the ``steps``.
    """

    steps: PositiveInt
    power: PositiveFloat
    min_lr: NonNegativeFloat = 0.0
    warmup_steps: NonNegativeInt = 0
    warmup_lr: NonNegativeFloat = 0.0
    policy: Literal["poly"] = "poly"

    @model_validator(mode="after")
    def _warms_up_within_the_steps(self) -> PolySchedule:
        if self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps must be fewer than the {self.steps} steps")
        return self

    def total_steps(self, steps_per_epoch: int) -> int:
        """As the recipe says, whatever the size of the data."""
        return self.steps


class OneCycleSchedule(Schedule):
    """PyTorch's OneCycleLR: up to the full rate and down again, the momentum the other way round.

    The rate starts at 1 / ``div_factor`` of the full one, has it after ``warmup_fraction`` of the
    steps, and ends at 1 / ``final_div_factor`` of the first. The momentum, or the first beta, goes
    from 0.95 to 0.85 and back, whatever the optimizer's.
    """

    epochs: PositiveInt
    warmup_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.3
    div_factor: PositiveFloat = 25.0
    final_div_factor: PositiveFloat = 1e4
    policy: Literal["onecycle"] = "onecycle"

    def total_steps(self, steps_per_epoch: int) -> int:
        """All epochs."""
        return self.epochs * steps_per_epoch

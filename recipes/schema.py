"""The schema that all recipes share: the sections of the paper's hyper-parameter tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import reduce
from math import prod
from operator import getitem
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, get_args

from pydantic import (
    BaseModel,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from mogabench.errors import UserError, unknown
from mogabench.recipes.schedules import OneCycleSchedule, Schedule
from mogabench.recipes.section import Fraction, ProperFraction, Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Optimizer(Section):
    """One of timm's optimizers; ``lr`` belongs to the recipe's ``batch_size``, never rescaled."""

    name: str
    lr: PositiveFloat
    weight_decay: NonNegativeFloat
    betas: Annotated[tuple[ProperFraction, ...], Field(strict=False)] = (0.9, 0.999)
    """As many as the optimizer has."""
    decay_biases: bool = False
    """Whether weight decay pulls at the biases of linear layers and convolutions, too, as it does
    in OpenMMLab's configurations; norms and scales it never touches."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None
    """What the learning rate is multiplied by from a layer of MogaNet's to the one before it, as in
    its Cascade detectors; None leaves it the same for all layers."""
    eps: PositiveFloat | None = None
    """None leaves the optimizer's own."""
    clip_grad: PositiveFloat | None = None
    """Largest norm of the whole gradient; None for no clipping."""


class Model(Section):
    """What training changes in the backbone."""

    drop_path: ProperFraction
    """Stochastic depth of the last block; the rate grows linearly from 0 at the first."""


class Ema(Section):
    """Averaged weights; the decay grows exponentially over training (Appendix C.4)."""

    decay_start: ProperFraction = 0.9
    decay: Fraction = 0.9999


class Expected(Section):
    """What the paper prints for this recipe."""

    table: str
    values: dict[str, float]
    """By metric, in the metric's unit, such as ``top1`` in %."""


class Recipe(Section):
    """A training set-up as resolved for one variant; every task's recipes have these keys.

    Attributes:
        method: One of the task's methods; None where any will do.
        batch_size: Images per optimizer step, over all devices and accumulated steps.
        precise_bn: Training samples over which the batch norms' statistics are measured again once
            the training has ended (precise batch norm, Table A6); None leaves the running ones.
        expected: The figure to compare with; None where the paper prints none.
    """

    task: str
    method: str | None
    title: str
    seed: NonNegativeInt
    batch_size: PositiveInt
    schedule: Schedule
    optimizer: Optimizer
    model: Model
    ema: Ema | None
    precise_bn: PositiveInt | None = None
    expected: Expected | None = None

    added_later: ClassVar[tuple[str, ...]] = ("precise_bn", "optimizer.layer_decay")
    """Keys that early recipes did not have; where they are None, digests are as they were then."""
    of_test: ClassVar[tuple[str, ...]] = ()
    """Keys that an evaluation alone follows; all others decide on the weights."""

    _name: str = PrivateAttr("")
    _variant: str | None = PrivateAttr(None)
    _changes: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _leaves_the_momentum_to_one_cycle(self) -> Self:
        usual = type(self.optimizer).model_fields["betas"].default[0]
        if isinstance(self.schedule, OneCycleSchedule) and self.optimizer.betas[:1] != (usual,):
            raise ValueError(
                "optimizer.betas: the schedule onecycle moves the first one, from 0.95 to 0.85 and "
                f"back: leave it at {usual}"
            )
        return self

    @property
    def name(self) -> str:
        """The recipe's file name, without its ending."""
        return self._name

    @property
    def variant(self) -> str | None:
        """The model size it was resolved for; None for the values that no size changes."""
        return self._variant

    @property
    def changes(self) -> dict[str, Any]:
        """The settings that differ from the file's, such as ``{"optimizer.lr": 5e-4}``.

        A user's file that has the name of one of the task's recipes differs from that one.
        Neither the seed nor the input size counts: records have fields for them.
        """
        return self._changes

    @property
    def digest(self) -> str:
        """SHA-256 of the settings; equal for equal training, whatever it is called."""
        settings = self.model_dump(mode="json", exclude={"title", "expected"})
        for key in self.added_later:
            *sections, name = key.split(".")
            section = reduce(getitem, sections, settings)
            if section[name] is None:
                del section[name]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    @property
    def size(self) -> tuple[int, ...] | None:
        """The input size that it evaluates at; None where the subject's own decides."""
        return None

    @property
    def train_pixels(self) -> float | None:
        """The product of a training input's sizes, on average; None where the subject's decide."""
        return None if self.size is None else prod(self.size)

    def at_size(self, size: tuple[int, ...]) -> Self:
        """The same training set-up for another input size.

        Args:
            size: Of the subject, in pixels, as ``size`` has it.

        Raises:
            UserError: The recipe has no such size.
        """
        return self

    def replace(self, changes: Mapping[str, Any]) -> Self:
        """The recipe with some settings replaced, validated again.

        Args:
            changes: Settings by key, sections as mappings: ``{"input": {"test_size": 256}}``.

        Raises:
            UserError: The new settings are not valid.
        """
        settings = merge(self.model_dump(), changes)
        try:
            recipe = type(self).model_validate(settings)
        except ValidationError as error:
            raise invalid(self.name, error_lines(error, type(self))) from None
        return recipe.resolved_as(self._name, self._variant, self._changes)

    def with_epochs(self, epochs: int) -> Self:
        """The recipe with a schedule of another length, as ``--set schedule.epochs=N`` makes it.

        Raises:
            UserError: The schedule is not valid at that length.
        """
        return self.with_changes({"schedule.epochs": epochs})

    def with_changes(self, changes: Mapping[str, Any]) -> Self:
        """The recipe with further changes, by keys as `changes` has them.

        Raises:
            UserError: The new settings are not valid.
        """
        settings: dict[str, Any] = {"expected": None}
        for key, value in changes.items():
            settings = merge(settings, nest(key, value))
        recipe = self.replace(settings)
        return recipe.resolved_as(self._name, self._variant, {**self._changes, **changes})

    def differences(self, other: Recipe) -> dict[str, Any]:
        """The settings that another recipe has not, but for the seed, by keys as in `changes`."""
        ignored = {"seed", "title", "expected"}
        ours, theirs = (
            _flatten(one.model_dump(mode="json", exclude=ignored)) for one in (self, other)
        )
        return {key: value for key, value in ours.items() if theirs.get(key, ...) != value}

    def of_training(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Those of some changes that decide on the weights, not on an evaluation."""
        return {key: value for key, value in changes.items() if key not in self.of_test}

    def resolved_as(self, name: str, variant: str | None, changes: dict[str, Any]) -> Self:
        """Stores where the settings came from, and returns the recipe itself."""
        self._name, self._variant, self._changes = name, variant, changes
        return self


def invalid(name: str, problems: Iterable[str]) -> UserError:
    """The error for a recipe with problems, each on a line."""
    return UserError("\n  ".join([f"the recipe {name} is not valid:", *problems]))


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the change's leaves in place of its own; a null replaces a whole section."""
    merged = dict(base)
    for key, new in change.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            merged[key] = merge(old, new)
        else:
            merged[key] = new
    return merged


def nest(key: str, value: Any) -> dict[str, Any]:
    """``{"a": {"b": 1}}`` for ``a.b`` and 1."""
    *sections, name = key.split(".")
    settings = {name: value}
    for section in reversed(sections):
        settings = {section: settings}
    return settings


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def error_lines(error: ValidationError, schema: type[BaseModel]) -> Iterator[str]:
    """Each problem as a line: where, what, and what would be right."""
    for problem in error.errors():
        where = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            yield str(unknown("key", where, _keys_beside(problem["loc"], schema)))
        elif problem["type"] == "model_type":
            keys = ", ".join(_keys_beside((*problem["loc"], ""), schema))
            yield f"{where}: should be a section, with the keys {keys}"
        elif problem["type"] == "missing":
            yield f"{where} is missing"
        elif problem["type"] == "value_error":
            # What several sections have to agree on has no place of its own.
            yield f"{where}: {problem['ctx']['error']}".removeprefix(": ")
        else:
            reason = problem["msg"].removeprefix("Input ")
            yield f"{where}: {reason} (got {json.dumps(problem['input'], default=str)})"


def _keys_beside(location: tuple[int | str, ...], schema: type[BaseModel]) -> list[str]:
    """The keys, written in full, that are valid in the section where the location lies."""
    for name in location[:-1]:
        annotation = schema.model_fields[str(name)].annotation
        schema = next(
            kind
            for kind in (annotation, *get_args(annotation))
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        )
    return [".".join(map(str, (*location[:-1], key))) for key in schema.model_fields]

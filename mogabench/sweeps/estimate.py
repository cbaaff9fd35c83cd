"""How long the measurements of a plan take on a device, by its recorded throughput."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from statistics import median
from typing import TYPE_CHECKING

from mogabench.errors import UserError, unknown
from mogabench.paper import get_paper, get_variant
from mogabench.records import Kind
from mogabench.tasks import choose_subject, flag, get_task, load_recipe
from mogabench.variants import VARIANTS, variant_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.paper import Meta
    from mogabench.records import Store
    from mogabench.subject import Subject
    from mogabench.sweeps.plan import Measurement

_TRAINING = 3
"""A training step computes about three times what a forward pass does: it has two gradients."""

_PROFILE_HOURS = 1 / 60
"""Of a network that is timed: the longest time until the median is known, and its start."""


@dataclass(frozen=True)
class Device:
    """A device and what it has reached.

    Attributes:
        name: As in the records.
        by_network: The highest recorded samples a second, by the subject's key.
        rate: Multiply-accumulates a second: the median over those networks.
    """

    name: str
    by_network: dict[str, float]
    rate: float


def find_device(name: str, store: Store) -> Device:
    """The device whose name is, or else holds, a text such as ``h200``, with its recorded rates.

    Raises:
        UserError: No record is of such a device, or records are of several.
    """
    timed = [record for record in store.all(Kind.THROUGHPUT) if not record.provenance.busy]
    names = sorted({record.provenance.device for record in timed})
    same = [device for device in names if name.casefold() == device.casefold()]
    found = same or [device for device in names if name.casefold() in device.casefold()]
    if not found:
        raise unknown("device with a recorded throughput", name, names)
    if len(found) > 1:
        raise UserError(f"'{name}' is part of several devices' names: {', '.join(found)}")
    by_network: dict[str, float] = {}
    rates = []
    for record in timed:
        if record.provenance.device == found[0]:
            key, speed = record.subject.key, record.values["throughput"].value
            by_network[key] = max(speed, by_network.get(key, 0.0))
    for key, speed in by_network.items():
        counted = store.latest(key, Kind.COMPLEXITY)
        if counted is not None:
            rates.append(speed * counted.values["operations_paper"].value)
    if not rates:
        raise UserError(f"no network that was timed on {found[0]} has a counted record")
    return Device(found[0], by_network, median(rates))


def hours(item: Measurement, device: Device, store: Store) -> float | None:
    """About how many hours a measurement takes on the device; None where that is not known.

    A training's time is that of its pixels by the recipe, at the recorded throughput of the
    network, or at the median rate of all networks that were timed on the device. The data is taken
    to be that of the paper.
    """
    if item.words[0] == "profile" or item.value("--data") is None:
        return _PROFILE_HOURS
    subject, samples = subject_of(item), _samples(item)
    if subject is None or samples is None:
        return None
    speed = device.by_network.get(subject.key)
    if speed is None:
        counted = store.latest(subject.key, Kind.COMPLEXITY)
        if counted is None:
            return None
        speed = device.rate / counted.values["operations_paper"].value
    return samples / speed / 3600


def affordable(
    items: Sequence[Measurement], costs: Sequence[float | None], budget: float
) -> list[Measurement]:
    """The measurements in the plan's order that fit a budget of hours; unknown ones do not."""
    chosen, left = [], budget
    for item, cost in zip(items, costs, strict=True):
        if cost is not None and cost <= left:
            chosen.append(item)
            left -= cost
    return chosen


def subject_of(item: Measurement) -> Subject | None:
    """What a command measures, at the size of the tables where it names none; None for no network.

    Raises:
        UserError: The task, the network, the method or the size is unknown.
    """
    task = get_task(item.task)
    variant, ablated = item.value("--variant"), _ablated(item)
    backbone = item.value("--backbone") or item.value(flag(task.backbone_word))
    if item.words[0] == "profile":
        backbone = VARIANTS.get(item.words[1], item.words[1])
    if variant is None and backbone is None and ablated is None:
        return None
    return choose_subject(
        task,
        variant=variant,
        backbone=backbone,
        method=item.value("--method"),
        size=item.value("--size"),
        options=item.values("--option"),
        ablated=ablated,
    )


def _ablated(item: Measurement) -> Meta | None:
    """The network of an ablation that a command names."""
    name = item.value("--ablation")
    return None if name is None else get_variant(get_paper(), name).meta


def _samples(item: Measurement) -> float | None:
    """The forward passes that a command costs at the subject's size.

    A training's gradients count as passes; those of smaller or larger inputs as parts or multiples.
    """
    task, subject = get_task(item.task), subject_of(item)
    if subject is None or item.value("--data") == "sample":
        return None
    if subject.method not in task.samples:
        return None
    train, evaluated = task.samples[subject.method]
    if not item.trains:
        return evaluated
    ablated = _ablated(item)
    recipe = load_recipe(
        item.value("--recipe") or (ablated and ablated.recipe) or task.default_recipe(subject),
        variant=variant_of(subject.backbone),
        overrides=item.values("--set"),
    )
    if item.value("--size") is not None:
        recipe = recipe.at_size(subject.input_size)
    pixels = prod(subject.input_size)
    size = 1.0 if recipe.train_pixels is None else recipe.train_pixels / pixels
    steps = recipe.schedule.total_steps(train // recipe.batch_size)
    return _TRAINING * steps * recipe.batch_size * size + evaluated

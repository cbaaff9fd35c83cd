"""What a command line says is to be measured."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mogabench.catalogue import check_backbone
from mogabench.checkpoints import Description, find_file
from mogabench.data.identity import SAMPLE
from mogabench.errors import UserError, unknown
from mogabench.subject import Subject, parse_size
from mogabench.variants import VARIANTS, backbone_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.engine.task import Task
    from mogabench.paper import Meta
    from mogabench.subject import OptionValue


def choose_subject(
    task: Task[Any, Any],
    *,
    variant: str | None,
    backbone: str | None,
    method: str | None,
    size: str | None,
    options: Sequence[str],
    ablated: Meta | None = None,
) -> Subject:
    """The subject that the options of `mogabench run` name.

    Args:
        task: The command's.
        variant: Of MogaNet.
        backbone: Any other backbone.
        method: One of the task's; its first by default.
        size: As text.
        options: Each ``NAME=VALUE``.
        ablated: The network of an ablation: its options are set unless `options` has them, and
            its backbone and size are taken where none is named.

    Raises:
        UserError: They contradict each other, or name something unknown.
    """
    if ablated is not None and variant is None and backbone is None:
        backbone = ablated.backbone
    if (variant is None) == (backbone is None):
        raise UserError(f"give --variant ({', '.join(VARIANTS)}) or --backbone NAME, one of them")
    if method is not None and method not in task.methods:
        raise unknown(f"method of {task.name}", method, task.methods)
    chosen = method or task.methods[0]
    parsed = tuple(_parse_option(text) for text in options)
    if ablated is not None:
        parsed = tuple((dict(ablated.options) | dict(parsed)).items())
        if size is None and ablated.task == task.name:
            size = "x".join(map(str, ablated.input_size))
    if "in_chans" in dict(parsed) and not task.takes_channels:
        raise UserError(
            f"{task.name} takes no --option in_chans: its inputs have a fixed number of channels"
        )
    return Subject(
        task=task.name,
        method=chosen,
        backbone=backbone_of(variant)
        if variant
        else check_backbone(backbone or "", task.backbones()),
        input_size=choose_size(task, chosen, size),
        options=parsed,
    )


def as_stated(subject: Subject, stated: Description | None, *, size_is_given: bool) -> Subject:
    """The subject with the options and the size of its weights, but for those that are given.

    Args:
        subject: As the command line names it.
        stated: What its weights say of themselves; None where they say nothing.
        size_is_given: Whether the command line says the size.
    """
    if stated is None or (stated.task, stated.backbone) != (subject.task, subject.backbone):
        return subject
    known: dict[str, Any] = {"options": tuple((stated.options | dict(subject.options)).items())}
    if not size_is_given and stated.input_size:
        known["input_size"] = stated.input_size
    return Subject.model_validate(subject.model_dump() | known)


def read_stated(task: Task[Any, Any], weights: str | None) -> Description | None:
    """What weights of the task say of themselves, without what recipe and data decide.

    Args:
        task: The command's.
        weights: ``official``, a file, or none.

    Raises:
        UserError: The file cannot be read.
    """
    if weights in (None, "official"):
        return None
    stated = Description.of(find_file(weights))
    if stated is None or stated.task != task.name:
        return None
    own = stated.own_options
    if own is None:
        own = {name: value for name, value in stated.options.items() if name != "num_classes"}
    return replace(stated, options=own)


def choose_size(task: Task[Any, Any], method: str, size: str | None) -> tuple[int, ...]:
    """The size that ``--size`` says, or the task's own.

    Raises:
        UserError: The text is not a size, or not one of the task.
    """
    default = task.default_sizes[method]
    if size is None:
        return default
    example = "x".join(map(str, default))
    try:
        pixels = parse_size(size)
    except ValueError:
        raise UserError(f"--size {size} is not a size such as {example}") from None
    if len(pixels) != len(default):
        raise UserError(f"--size {size} is not a size of {task.name}, such as {example}")
    return pixels


def ablated_training(
    ablated: Meta, recipe: str | None, overrides: Sequence[str], data: str | None
) -> tuple[str | None, list[str]]:
    """The recipe and the changes to it by which the paper trained a network of an ablation.

    Args:
        ablated: The network.
        recipe: A recipe to train by instead; the changes are still the ablation's.
        overrides: Further changes.
        data: ``sample`` has a recipe of its own.

    Raises:
        UserError: The paper takes the network's accuracy from other authors, whose training this
            project does not have.
    """
    if recipe is None and data != SAMPLE:
        recipe = ablated.recipe
        if not recipe:
            raise UserError(
                f"the paper's {ablated.backbone} was trained by its authors, by no recipe of this "
                "project; give one with --recipe"
            )
    settings = [f"{name}={json.dumps(value)}" for name, value in ablated.settings.items()]
    return recipe, [*settings, *overrides]


def _parse_option(text: str) -> tuple[str, OptionValue]:
    """Reads ``NAME=VALUE``, the value in JSON where it is JSON."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--option {text} is not NAME=VALUE, such as gate_act=gelu")
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError:
        return name, value
    if isinstance(parsed, list):
        if not all(isinstance(item, (int, float)) for item in parsed):
            raise UserError(f"--option {text}: a list must be of numbers")
        return name, tuple(parsed)
    return name, parsed if isinstance(parsed, (str, int, float, bool)) else value

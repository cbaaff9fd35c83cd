"""The weights that a job starts from, loaded into its network."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from mogabench.checkpoints import Description, load_into, read_state_dict
from mogabench.data.normalization import Normalization
from mogabench.errors import UserError
from mogabench.files import sha256
from mogabench.pretraining import BY_DATA
from mogabench.recipes import load, names, restore, variant_for
from mogabench.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import nn

    from mogabench.engine.job import Job
    from mogabench.engine.options import R
    from mogabench.engine.task import Task
    from mogabench.pretraining import Pretraining
    from mogabench.recipes import Recipe


def load_job_weights(
    task: Task[Any, Any],
    job: Job[Any, Any],
    network: nn.Module,
    *,
    classes: tuple[str, ...] = (),
    build: Callable[[Subject], nn.Module] | None = None,
) -> list[str]:
    """Loads a job's weights, if it has any.

    To evaluate, they must be those of the whole network. A training may also begin with a whole
    network, whose head may be replaced with ``new_head``, or with the backbone alone, such as a
    classifier.

    Args:
        task: The job's.
        job: Names the file.
        network: The task's network; left as it was if anything does not fit.
        classes: Of the data, which must be those that a file states; empty where there are none.
        build: Builds the network, to find what of it depends on the number of classes; None for
            one that is a classifier, or has no classes.

    Returns:
        What was taken, left out and repaired, a line for each kind, for `Setup.notes`.

    Raises:
        UserError: The file cannot be read, its weights do not fit, or are not what the job calls
            them: trained from what it says and, to evaluate, by its recipe, and averaged or not;
            or the network takes other pixels now than those that it was trained with.
    """
    if job.weights is None:
        return []
    of_classes = _of_classes(job, network, build, len(classes)) if job.new_head and build else ()
    report = load_into(
        network,
        job.weights,
        job.subject,
        backbone=task.backbone_module,
        train=job.train,
        prefer_ema=job.ema,
        new_head=job.new_head,
        classes=classes,
        class_map="class_map" in task.Options.model_fields,
        of_classes=of_classes,
    )
    stated = report.stated
    start = _stated_start(job, stated)
    if job.pretraining and start and start != job.pretraining:
        raise UserError(
            f"--pretraining {job.pretraining}: {job.weights} states {start}; leave it out"
        )
    if not job.train:
        if stated is not None and stated.recipe and job.recipe is not None:
            _check_recipe(job.weights, stated, job.recipe)
        _check_average(job, stated, has_both=report.has_both)
        _check_pixels(job, stated, task.normalization(network, job.subject))
    return report.lines()


def _of_classes(
    job: Job[Any, Any], network: nn.Module, build: Callable[[Subject], nn.Module], classes: int
) -> set[str]:
    """The tensors that have another shape in the network for one class more."""
    options = dict(job.subject.options) | {"num_classes": classes + 1}
    with torch.device("meta"):
        other = build(job.subject.model_copy(update={"options": tuple(options.items())}))
    shapes = {name: tensor.shape for name, tensor in other.state_dict().items()}
    return {name for name, tensor in network.state_dict().items() if tensor.shape != shapes[name]}


def stated_recipe(task: Task[R, Any], stated: Description | None) -> R | None:
    """The recipe that weights state, by all of its settings where the file has them.

    Returns:
        None where they state none, or one of the user's own without its settings.

    Raises:
        UserError: The settings are none of the task's recipes.
    """
    if stated is None or not stated.recipe:
        return None
    if stated.recipe_settings:
        return restore(stated.recipe_settings, task.Recipe, stated.recipe, stated.recipe_changes)
    if stated.recipe not in names(task):
        return None
    variant = variant_for(stated.backbone, stated.recipe, task)
    changes = [f"{key}={json.dumps(value)}" for key, value in stated.recipe_changes.items()]
    return load(stated.recipe, task, variant=variant, overrides=changes)


def as_trained(sized: R, recipe: R, weights: Path) -> R:
    """A recipe to evaluate by, with the size and the seed that its weights were trained with.

    Where that size is another one, it is a change of the recipe.

    Args:
        sized: The recipe at the size to evaluate at.
        recipe: The recipe before that size was given.
        weights: The file.

    Returns:
        ``sized`` itself where the file states no training by that recipe, whatever the size.

    Raises:
        UserError: The file cannot be read.
    """
    stated = Description.of(weights)
    trained = None if stated is None else _trained_recipe(stated, recipe)
    if trained is None:
        return sized
    resized = recipe if trained.size is None else recipe.at_size(trained.size)
    if recipe.of_training(trained.differences(resized)):
        return sized
    return of_size(sized, trained).replace({"seed": trained.seed})


def of_size(sized: R, trained: R) -> R:
    """A recipe to evaluate by, which states the training's size as a change where it is another."""
    changes = sized.of_training(trained.differences(sized))
    return sized.with_changes(changes) if changes else sized


def giver_of_size(size: str | None, weights: str | None, stated: Description | None) -> str:
    """The option that says the input size, with its value; empty where none does.

    Args:
        size: As text, where it is given.
        weights: The file of the weights.
        stated: What they say of themselves.
    """
    if size is not None:
        return f"--size {size}"
    return f"--weights {weights}" if stated is not None and stated.input_size else ""


def as_stated(subject: Subject, stated: Description | None, *, size_is_given: bool) -> Subject:
    """The subject with the options and the size of its weights, but for those that are given.

    Args:
        subject: As the user names it.
        stated: What its weights say of themselves; None where they say nothing.
        size_is_given: Whether the user says the size.
    """
    if stated is None or (stated.task, stated.backbone) != (subject.task, subject.backbone):
        return subject
    known: dict[str, Any] = {"options": tuple((stated.options | dict(subject.options)).items())}
    if not size_is_given and stated.input_size:
        known["input_size"] = stated.input_size
    return Subject.model_validate(subject.model_dump() | known)


@dataclass(frozen=True)
class Start:
    """What a job begins with: its file of weights as it is when the job begins.

    Attributes:
        digest: The file's SHA-256; None where there is none.
        pretraining: What the training behind the job's figure started from, as rows of papers have
            it. ``unknown``: trained by this project from weights without stated pretraining. None:
            weights trained elsewhere without stated pretraining.
        data: The name of the data that the weights state they were trained on; None if they do not.
    """

    digest: str | None
    pretraining: Pretraining | Literal["unknown"] | None
    data: str | None


def read_start(job: Job[Any, Any]) -> Start:
    """Reads what a job begins with; the file may be replaced while the job runs.

    Raises:
        UserError: The file cannot be read.
    """
    if job.weights is None:
        return Start(None, "none", None)
    checkpoint = read_state_dict(job.weights)
    stated = Description.from_meta(checkpoint.meta.get("meta"))
    known = _stated_start(job, stated) or job.pretraining
    was_trained_here = job.train or (stated is not None and stated.pretraining == "unknown")
    return Start(
        checkpoint.sha256,
        known or ("unknown" if was_trained_here else None),
        (stated.data.get("name") if stated is not None else None) or None,
    )


def check_loaded(job: Job[Any, Any], start: Start) -> None:
    """Refuses to go on with other weights than the record would name.

    Raises:
        UserError: The file was replaced before it was loaded, as by a training that goes on.
    """
    if job.weights is not None and sha256(job.weights) != start.digest:
        raise UserError(f"{job.weights} was replaced while it was read: take a copy of it")


def _stated_start(job: Job[Any, Any], stated: Description | None) -> Pretraining | None:
    """The pretraining stated in the weights' metadata; None without."""
    if stated is None:
        return None
    said = stated.pretraining
    if not said or said == "unknown":
        return None
    if not job.train or said == "in21k":
        return said
    # A training begins with what its weights were trained on, which is known of known data alone.
    return BY_DATA.get(stated.data.get("name", ""))


def stated_classes(job: Job[Any, Any]) -> tuple[str, ...]:
    """The classes that a job's weights state, for data that has none; empty where they do not.

    Raises:
        UserError: The file cannot be read.
    """
    stated = Description.of(job.weights) if job.weights is not None else None
    return stated.classes if stated is not None else ()


def _check_average(job: Job[Any, Any], stated: Description | None, *, has_both: bool) -> None:
    """Refuses to call weights not averaged where nothing says so."""
    without_average = stated is not None and job.recipe is not None and job.recipe.ema is None
    if not (job.ema or has_both or without_average):
        raise UserError(
            f"{job.weights} holds one set of weights, not averaged and raw ones: leave out --no-ema"
        )


def _check_pixels(
    job: Job[Any, Any], stated: Description | None, pixels: Normalization | None
) -> None:
    """Refuses a network that takes other pixels than its weights state, as after an update of timm.

    Such weights would be evaluated all the same, only worse.
    """
    if stated is None or pixels is None or not stated.mean:
        return
    trained = Normalization(stated.mean, stated.std)
    if not trained.is_close(pixels):
        raise UserError(
            f"{job.weights} was trained with the normalisation {trained}, but "
            f"{job.subject.backbone} now uses {pixels}: use the timm release of the training"
        )


def _check_recipe(file: Path, stated: Description, recipe: Recipe) -> None:
    """Refuses weights that were trained by another recipe than their record would name."""
    own, given = map(recipe.of_training, (stated.recipe_changes, recipe.changes))
    is_same = (stated.recipe, own) == (recipe.name, given)
    trained = _trained_recipe(stated, recipe)
    if trained is not None:
        differing = recipe.of_training(trained.differences(recipe))
        is_same = not differing
        if own == given:  # they differ in what no change says, such as the training size
            own |= differing
    if not is_same:
        raise UserError(
            f"{file} was trained by {_words(stated.recipe, own)}, not by "
            f"{_words(recipe.name, given)}: give the recipe that it was trained by"
        )


def _trained_recipe(stated: Description, recipe: R) -> R | None:
    """The recipe of the same name that weights state; None where they state another.

    Early files do not state its settings, and so none.
    """
    is_same = (stated.task, stated.recipe) == (recipe.task, recipe.name)
    if not (is_same and stated.recipe_settings):
        return None
    return restore(stated.recipe_settings, type(recipe), stated.recipe, stated.recipe_changes)


def _words(recipe: str, changes: Mapping[str, Any]) -> str:
    words = ["--recipe", recipe]
    for key, value in changes.items():
        words += ["--set", f"{key}={json.dumps(value)}"]
    return shlex.join(words)

"""The job: everything that a training or an evaluation needs to know, resolved and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.recipes import Recipe
    from mogabench.subject import Subject
    from mogabench.tasks import Task

SAMPLE = "sample"
"""The ``data`` that stands for a task's own sample, of `mogabench.samples`."""

_AMP = ("float16", "bfloat16")
_ON_BAD_IMAGE = ("skip", "fail")


@dataclass(frozen=True)
class Job:
    """A training or an evaluation.

    Attributes:
        subject: The network, evaluated at ``subject.input_size``.
        recipe: The training set-up; an evaluation takes its crop and interpolation from it, or
            from the network's own configuration where it is None.
        data: The data set's folder, ``sample``, or, to classify, timm's ``hfds/…``, ``tfds/…`` or
            ``wds/…``.
        work_dir: Where checkpoints and logs go; None keeps nothing (evaluation only).
        weights: A checkpoint to start from.
        new_head: Whether a classifier of another class count may be replaced.
        train: Whether to train before evaluating.
        resume: Whether to go on from the checkpoint in ``work_dir``.
        device: ``cpu``, ``cuda`` or ``cuda:1``.
        amp: The autocast type, ``float16`` or ``bfloat16``; None for float32 throughout.
        channels_last: Whether weights and images are laid out as NHWC.
        compile: Whether the network goes through ``torch.compile``.
        batch_size: Images per forward pass and device. Training accumulates gradients up to the
            recipe's batch size; None takes that at once, and 64 in evaluation.
        workers: Processes that load data, per device.
        seed: Seeds initial weights, order, augmentation and dropout.
        on_bad_image: ``skip`` an image that cannot be read, or ``fail``.
        class_map: Class folders in label order, or the names of the masks' classes, one a line;
            None sorts the folders, and takes ADE20K's classes.
        boxes: Detected persons in COCO's results format, for poses; None takes the true boxes.
        quiet: Plain lines instead of a progress bar.
        save_seconds: Longest time between two checkpoints; one more ends each epoch.
    """

    subject: Subject
    recipe: Recipe | None
    data: str
    work_dir: Path | None = None
    weights: Path | None = None
    new_head: bool = False
    train: bool = False
    resume: bool = False
    device: str = "cpu"
    amp: str | None = None
    channels_last: bool = False
    compile: bool = False
    batch_size: int | None = None
    workers: int = 2
    seed: int = 42
    on_bad_image: str = "skip"
    class_map: Path | None = None
    boxes: Path | None = None
    quiet: bool = False
    save_seconds: float = 600.0

    def __post_init__(self) -> None:
        if self.amp is not None and self.amp not in _AMP:
            raise unknown("autocast type", self.amp, _AMP)
        if self.on_bad_image not in _ON_BAD_IMAGE:
            raise unknown("way to treat a bad image", self.on_bad_image, _ON_BAD_IMAGE)
        if self.batch_size is not None and self.batch_size < 1:
            raise UserError(f"--batch-size {self.batch_size} is not a positive number")
        if self.workers < 0:
            raise UserError(f"--workers {self.workers} is negative; 0 takes the main process")
        if not (self.train or self.weights):
            raise UserError("--data needs --weights FILE to evaluate, or --train to train")
        for option, value, tasks in (
            ("--boxes", self.boxes, ("pose",)),
            ("--class-map", self.class_map, ("classification", "segmentation")),
        ):
            if value is not None and self.subject.task not in tasks:
                raise UserError(f"{option} is for {' and '.join(tasks)} alone")
        if (self.resume or self.new_head) and not self.train:
            raise UserError("--resume and --new-head are for training: add --train")
        if self.train and self.amp == "float16" and self.device == "cpu":
            raise UserError("training in float16 needs a GPU; --amp bfloat16 works on the CPU")


def make_job(
    task: Task,
    subject: Subject,
    *,
    data: str,
    size_is_given: bool,
    recipe: str | None,
    overrides: Sequence[str],
    weights: str | None,
    train: bool,
    work_dir: Path | None,
    device: str,
    **settings: Any,
) -> Job:
    """Resolves what the command line says: recipe, size, weights, device, folder.

    Args:
        task: The subject's task.
        subject: The network.
        data: As in `Job`.
        size_is_given: Whether the user chose ``subject.input_size``, which then also goes into the
            recipe; otherwise the recipe decides.
        recipe: A name or a file. None takes the sample's on the sample, the task's default to
            train, that of the official weights, and else the network's own preprocessing to
            evaluate.
        overrides: ``key=value`` texts for the recipe.
        weights: ``official`` or a file.
        train: As in `Job`.
        work_dir: As in `Job`; None takes a folder of its own below ``work/`` to train, and
            for the sample.
        device: As in `Job`, or ``auto``: the GPU where there is one.
        **settings: The other fields of `Job`, as they are.

    Raises:
        UserError: The options contradict each other, or name what there is not.
    """
    from mogabench.checkpoints import official_weights, resolve_weights
    from mogabench.engine.environment import choose_device
    from mogabench.recipes import load, variant_for

    name = recipe
    if recipe is None and data == SAMPLE:
        name = task.sample_recipe
    elif recipe is None and train:
        name = task.default_recipe(subject)
    elif recipe is None and weights == "official":
        name = official_weights(subject).recipe
    if name is None and overrides:
        raise UserError("--set changes a recipe: add --recipe NAME or --train")
    variant = variant_for(subject.backbone, name) if name else None
    resolved = load(name, variant=variant, overrides=overrides) if name else None
    if resolved:
        _check_purpose(resolved, subject)
    if name and resolved and size_is_given:
        sizes = resolved.size_settings(subject.input_size)
        resolved = load(name, variant=variant, overrides=[*overrides, *sizes])
    subject = _at_test_size(subject, resolved)
    if work_dir is None and (train or data == SAMPLE):
        work_dir = Path("work") / task.name / f"{subject.backbone}-{name or 'evaluation'}"
    return Job(
        subject=subject,
        recipe=resolved,
        data=data,
        work_dir=work_dir,
        weights=resolve_weights(weights, *_released(subject, recipe, train)) if weights else None,
        train=train,
        device=choose_device(device),
        seed=resolved.seed if resolved else 0,
        **settings,
    )


def _released(subject: Subject, recipe: str | None, train: bool) -> tuple[Subject, str | None]:
    """What the official weights of a job are for, and the recipe they were trained by.

    An evaluation takes those of its own task, a training begins with the classifier's.
    """
    if not train or subject.task == "classification":
        return subject, None if train else recipe
    classifier = {"task": "classification", "method": "classifier", "input_size": (224, 224)}
    return subject.model_copy(update={**classifier, "options": ()}), None


def _check_purpose(recipe: Recipe, subject: Subject) -> None:
    if recipe.task != subject.task or recipe.method not in (None, subject.method):
        raise UserError(
            f"the recipe {recipe.name} is for {recipe.task} by {recipe.method or 'any method'}, "
            f"not for {subject.task} by {subject.method}; see 'mogabench list recipes'"
        )


def _at_test_size(subject: Subject, recipe: Recipe | None) -> Subject:
    """The subject at the size that the recipe evaluates at, where it decides that."""
    if recipe is None or recipe.test_size is None:
        return subject
    return subject.model_copy(update={"input_size": recipe.test_size})

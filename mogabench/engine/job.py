"""The job: everything that a training or an evaluation needs to know, resolved and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError, unknown
from mogabench.variants import variant_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.recipes import Recipe
    from mogabench.subject import Subject
    from mogabench.tasks import Task

SAMPLE = "sample"
"""The ``data`` that stands for the handwritten digits of `mogabench.engine.sample`."""

SAMPLE_RECIPE = "sample_digits"

_AMP = ("float16", "bfloat16")
_ON_BAD_IMAGE = ("skip", "fail")


@dataclass(frozen=True)
class Job:
    """A training or an evaluation.

    Attributes:
        subject: The network, evaluated at ``subject.input_size``.
        recipe: The training set-up; an evaluation takes its crop and interpolation from it, or
            from the network's own configuration where it is None.
        data: A folder of images, timm's ``hfds/…``, ``tfds/…`` or ``wds/…``, or ``sample``.
        work_dir: Where checkpoints and logs go; None keeps nothing (evaluation only).
        weights: A checkpoint to start from.
        new_head: Whether a classifier of another class count may be replaced.
        train: Whether to train before evaluating.
        resume: Whether to go on from the checkpoint in ``work_dir``.
        device: ``cpu``, ``cuda`` or ``cuda:1``.
        amp: The autocast type, ``float16`` or ``bfloat16``; None for float32 throughout.
        channels_last: Whether weights and images are laid out as NHWC.
        batch_size: Images per forward pass and device. Training accumulates gradients up to the
            recipe's batch size; None takes that at once, and 64 in evaluation.
        workers: Processes that load data, per device.
        seed: Seeds initial weights, order, augmentation and dropout.
        on_bad_image: ``skip`` an image that cannot be read, or ``fail``.
        class_map: Class folders in label order, one a line; None sorts the folders.
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
    batch_size: int | None = None
    workers: int = 2
    seed: int = 42
    on_bad_image: str = "skip"
    class_map: Path | None = None
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
        recipe: A name or a file. None takes the sample's or the task's default recipe to train,
            that of the official weights, and else the network's own preprocessing to evaluate.
        overrides: ``key=value`` texts for the recipe.
        weights: ``official`` or a file.
        train: As in `Job`.
        work_dir: As in `Job`; None takes a folder of its own below ``work/`` to train.
        device: As in `Job`, or ``auto``: the GPU where there is one.
        **settings: The other fields of `Job`, as they are.

    Raises:
        UserError: The options contradict each other, or name what there is not.
    """
    from mogabench.checkpoints import official_weights, resolve_weights
    from mogabench.engine.environment import choose_device
    from mogabench.recipes import load

    name = recipe
    if recipe is None and train:
        name = SAMPLE_RECIPE if data == SAMPLE else task.default_recipe
    if recipe is None and weights == "official" and not train:
        name = official_weights(subject.backbone, subject.input_size).recipe
    if name is None and overrides:
        raise UserError("--set changes a recipe: add --recipe NAME or --train")
    variant = variant_of(subject.backbone)
    resolved = load(name, variant=variant, overrides=overrides) if name else None
    if name and resolved and size_is_given:
        side = subject.input_size[-1]
        if subject.input_size != (side, side):
            raise UserError("recipes are for square images: give --size one number")
        sizes = size_overrides(resolved, side)
        resolved = load(name, variant=variant, overrides=[*overrides, *sizes])
    subject = _at_test_size(subject, resolved)
    if work_dir is None and train:
        work_dir = Path("work") / task.name / f"{subject.backbone}-{name}"
    return Job(
        subject=subject,
        recipe=resolved,
        data=data,
        work_dir=work_dir,
        weights=resolve_weights(weights, subject.backbone, subject.input_size) if weights else None,
        train=train,
        device=choose_device(device),
        seed=resolved.seed if resolved else 0,
        **settings,
    )


def size_overrides(recipe: Recipe, side: int) -> list[str]:
    """The settings of a recipe that ``--size`` stands for, as ``key=value`` texts.

    The test size, and the training size too where the recipe trains at its test size.
    """
    given = recipe.model_dump().get("input", {})
    same = given.get("train_size") == given.get("test_size")
    return [f"input.{name}_size={side}" for name in ("train", "test") if same or name == "test"]


def _at_test_size(subject: Subject, recipe: Recipe | None) -> Subject:
    """The subject at the size that the recipe evaluates at."""
    from mogabench.recipes import ClassificationRecipe

    if not isinstance(recipe, ClassificationRecipe):
        return subject
    return subject.model_copy(update={"input_size": (recipe.input.test_size,) * 2})

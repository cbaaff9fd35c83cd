"""Makes a job of what the command line says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mogabench.checkpoints import find_file, resolve_weights
from mogabench.data.identity import SAMPLE
from mogabench.engine.environment import choose_device
from mogabench.engine.job import Job
from mogabench.engine.weights import as_trained, of_size, stated_recipe
from mogabench.errors import UserError
from mogabench.files import expanded
from mogabench.recipes import load, override, variant_for
from mogabench.releases import official_weights
from mogabench.runtimes import RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.checkpoints import Description
    from mogabench.engine.options import O, R
    from mogabench.engine.task import Task
    from mogabench.pretraining import Pretraining
    from mogabench.recipes import Recipe
    from mogabench.subject import Subject


def make_job(
    task: Task[R, O],
    subject: Subject,
    *,
    data: str,
    options: O | None = None,
    size_is_given: bool,
    recipe: str | R | None,
    overrides: Sequence[str],
    weights: str | None,
    pretraining: Pretraining | None = None,
    train: bool,
    work_dir: Path | None,
    device: str,
    ema: bool = True,
    channels_last: bool | None = None,
    runtime: str = "torch",
    predictions: Path | None = None,
    confusion: Path | None = None,
    **settings: Any,
) -> Job[R, O]:
    """Resolves the command line's recipe, size, weights, device and folder.

    Args:
        task: The subject's task.
        subject: The network.
        data: As in `Job`.
        options: As in `Job`; None takes the defaults.
        size_is_given: Whether the user chose ``subject.input_size``, which then also goes into the
            recipe; otherwise the recipe decides.
        recipe: A name, a file, or the recipe itself. None takes the sample's or the task's default
            to train, and to evaluate that of the official weights, else the network's own
            preprocessing.
        overrides: ``key=value`` texts for the recipe.
        weights: ``official`` or a file.
        pretraining: As in `Job`.
        train: As in `Job`.
        work_dir: As in `Job`; None takes a folder of its own below ``work/`` to train, and
            for the sample.
        ema: As in `Job`; without, the recipe has no average either, and the reverse.
        channels_last: As in `Job`; None takes the task's.
        runtime: As in `Job`.
        device: As in `Job`, or ``auto``: the GPU where there is one.
        predictions: As in `Job`.
        confusion: As in `Job`.
        **settings: The other fields of `Job`, as they are.

    Raises:
        UserError: The options contradict each other, or name something unknown.
    """
    _check_predictions(task, predictions)
    _check_confusion(task, confusion)
    options = options or task.Options()
    named = recipe if isinstance(recipe, str) else None
    if recipe is None:
        recipe = _default_recipe(task, subject, data, weights, train=train)
    resolved = unsized = _resolve(task, subject, recipe, overrides, ema=ema)
    if unsized is not None:
        if not train:
            ema = ema and unsized.changes.get("ema", ...) is not None
            if weights == "official" and recipe is not None:
                _check_released(unsized, _override(task, subject.backbone, recipe, ()))
        resolved = _resize(unsized, subject.input_size if size_is_given else None, options)
        if resolved.size is not None:
            subject = subject.model_copy(update={"input_size": resolved.size})
        if weights == "official" and not train:
            if not official_weights(subject).input_size:
                resolved = of_size(resolved, unsized)
        elif weights and not train:
            resolved = as_trained(resolved, unsized, find_file(weights))
    if channels_last is None:
        channels_last = task.channels_last and runtime == "torch"
    if work_dir is None and (train or data == SAMPLE):
        name = resolved.name if resolved else "evaluation"
        work_dir = Path("work") / task.name / f"{subject.backbone}-{name}"
    if weights == "official" and train:
        pretraining = _official_pretraining(pretraining)
    return Job(
        subject=subject,
        recipe=resolved,
        data=data,
        options=options,
        work_dir=work_dir and expanded(work_dir),
        weights=resolve_weights(weights, subject, named, train=train) if weights else None,
        pretraining=pretraining,
        ema=ema,
        train=train,
        device=_choose_device(device, runtime),
        channels_last=channels_last,
        runtime=runtime,
        seed=resolved.seed if resolved else 0,
        predictions=predictions and expanded(predictions),
        confusion=confusion and expanded(confusion),
        **settings,
    )


def make_evaluation_job(
    task: Task[R, O],
    subject: Subject,
    stated: Description | None,
    *,
    data: str = "",
    options: O | None = None,
    size_is_given: bool,
    weights: str,
    device: str,
    runtime: str = "torch",
) -> Job[R, O]:
    """A job for a network with its weights, in this process and without a folder.

    Args:
        task: The subject's task.
        subject: The network.
        stated: What the weights say of themselves, such as their recipe; None for nothing.
        data: As in `Job`; empty for a network alone.
        options: As in `make_job`.
        size_is_given: Whether the user chose the size; else the weights may state it.
        weights: ``official`` or a file.
        device: As in `make_job`.
        runtime: As in `Job`.

    Raises:
        UserError: The options contradict each other, or name something unknown.
    """
    return make_job(
        task,
        subject,
        data=data,
        options=options,
        size_is_given=size_is_given or bool(stated and stated.input_size),
        recipe=stated_recipe(task, stated),
        overrides=(),
        weights=weights,
        train=False,
        work_dir=None,
        device=device,
        runtime=runtime,
        workers=0,
    )


def _official_pretraining(asked: Pretraining | None) -> Pretraining:
    """What a training from a released classifier starts from."""
    if asked not in (None, "in1k"):
        raise UserError(
            f"--pretraining {asked}: the official weights were trained on in1k; leave it out"
        )
    return "in1k"


def _choose_device(asked: str, runtime: str) -> str:
    """The device that is asked for; ``auto`` is the runtime's own, where that is not PyTorch."""
    known = RUNTIMES.get(runtime)
    if asked == "auto" and known is not None:
        asked = known.device
    return choose_device(asked)


def _default_recipe(
    task: Task[R, O], subject: Subject, data: str, weights: str | None, *, train: bool
) -> str | R | None:
    """The recipe where the user names none; see `make_job`."""
    if train:
        return task.sample_recipe if data == SAMPLE else task.default_recipe(subject)
    return official_weights(subject).recipe if weights == "official" else None


def _resolve(
    task: Task[R, O],
    subject: Subject,
    recipe: str | R | None,
    overrides: Sequence[str],
    *,
    ema: bool,
) -> R | None:
    """The recipe with the user's settings, for the subject's backbone and method."""
    if recipe is None:
        if overrides:
            raise UserError("--set changes a recipe: add --recipe NAME or --train")
        return None
    resolved = _override(task, subject.backbone, recipe, overrides)
    if not ema and resolved.ema is not None:
        resolved = _override(task, subject.backbone, recipe, [*overrides, "ema=null"])
    if resolved.method not in (None, subject.method):
        raise UserError(
            f"the recipe {resolved.name} is for the method {resolved.method}, "
            f"not {subject.method}; see 'mogabench list recipes'"
        )
    return resolved


def _override(task: Task[R, O], backbone: str, recipe: str | R, overrides: Sequence[str]) -> R:
    """The recipe with these settings, for a backbone where it has a name."""
    if not isinstance(recipe, str):
        return override(recipe, overrides) if overrides else recipe
    variant = variant_for(backbone, recipe, task)
    return load(recipe, task, variant=variant, overrides=overrides)


def _resize(recipe: R, given: tuple[int, ...] | None, options: O) -> R:
    """The recipe at the size that was given, else at its own, but for what the options say."""
    if given is None and recipe.size is not None:
        own = options.input_size(recipe.size)
        given = None if own == recipe.size else own
    return recipe if given is None else recipe.at_size(given)


def _check_predictions(task: Task[Any, Any], file: Path | None) -> None:
    if file is None or (task.predictions and file.suffix == task.predictions):
        return
    what = f"goes to a {task.predictions} file" if task.predictions else "cannot be written"
    raise UserError(f"--predictions {file}: what {task.name} predicts {what}")


def _check_confusion(task: Task[Any, Any], file: Path | None) -> None:
    if file is not None and not task.has_confusions:
        raise UserError(
            f"--confusion: {task.name} does not choose one class for each image or pixel"
        )
    if file is not None and file.suffix != ".csv":
        raise UserError(f"--confusion {file}: the confusion matrix goes to a .csv file")


def _check_released(recipe: Recipe, released: Recipe) -> None:
    """Refuses to call the authors' weights trained by other settings than theirs.

    They come with and without the average.
    """
    differing = recipe.of_training(recipe.differences(released))
    changed = [key for key in differing if key.split(".")[0] != "ema"]
    if changed:
        raise UserError(
            f"the released weights were trained by {recipe.name} as it is: leave out "
            f"--set {' and '.join(changed)}, or add --train"
        )

"""Runs a job: trains, where the job says so, and evaluates."""

from __future__ import annotations

import logging
import math
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mmengine.dist import get_rank
from mmengine.model import is_model_wrapper

from mogabench.checkpoints import Description, save_checkpoint, save_safetensors
from mogabench.engine.budget import shorten
from mogabench.engine.environment import check_writable, enter, lock, watch_disk
from mogabench.engine.failures import in_one_line
from mogabench.engine.interrupts import obeying_interrupts
from mogabench.engine.optimization import AverageWeights
from mogabench.engine.processes import ending_together
from mogabench.engine.randomness import seed_everything
from mogabench.engine.reporting import Noting, ShowProgress
from mogabench.engine.runner import evaluation_batch, make_runner
from mogabench.engine.saving import CHECKPOINT
from mogabench.engine.statistics import batches_to_measure, check_changes, measure_statistics
from mogabench.engine.weights import Start, check_loaded, read_start
from mogabench.errors import UserError
from mogabench.records import Training, remember_code
from mogabench.runtimes import in_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    from mogabench.engine.job import Job
    from mogabench.engine.task import Setup, Source, Task
    from mogabench.recipes import Recipe
    from mogabench.records import Data

_LOG = logging.getLogger(__name__)

WEIGHTS = "weights.pth"
"""The file in the work folder with a finished training's weights, for ``--weights``; beside it lies
the same as safetensors."""


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        metrics: By name, in the task's units; empty where the data has no annotations.
        recipe: What it followed: the job's, shortened where its deadline wanted that.
        data: What was evaluated on.
        size: Height and width that it was evaluated at, or as the subject has its size.
        batch_size: Samples per forward pass and device in evaluation.
        checkpoint: The trained weights; None where nothing was trained.
        training: How they were trained; None likewise.
        seconds: How long it took, of this process.
        start: What it began with.
        notes: What a reader of the metrics must know.
        by_class: Figures by metric and class name; empty where the task has none.
        options: What data and recipe build the network with, beside the subject's options.
    """

    metrics: dict[str, float]
    recipe: Recipe | None
    data: Data
    size: tuple[int, ...]
    batch_size: int
    checkpoint: Path | None
    training: Training | None
    seconds: float
    start: Start
    notes: list[str] = field(default_factory=list)
    by_class: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


def run(job: Job[Any, Any], task: Task[Any, Any]) -> Outcome:
    """Trains, where the job says so, and evaluates.

    A training that is interrupted goes on from its last checkpoint with ``resume``.

    Raises:
        UserError: Something that the user gave does not fit; see the message.
        KeyboardInterrupt: The user stopped it; the last complete checkpoint is untouched.
    """
    remember_code()
    began = time.monotonic()
    enter(job.device)
    with ending_together(), in_one_line(job), obeying_interrupts():
        return _run(job, task, began)


def _run(job: Job[Any, Any], task: Task[Any, Any], began: float) -> Outcome:
    with ExitStack() as stack:
        kept = job.work_dir
        folder = kept or Path(stack.enter_context(TemporaryDirectory(prefix="mogabench-")))
        job = replace(job, work_dir=folder)
        check_writable(folder)
        for file in filter(None, (job.predictions, job.confusion)):
            check_writable(file.parent)
        stack.enter_context(watch_disk(folder))
        if job.train and get_rank() == 0:
            stack.enter_context(lock(folder))
        _check_unused(job, folder)
        start = read_start(job)
        seed_everything(job.seed)
        setup = task.prepare(job)
        check_loaded(job, start)
        _check_annotated(job, setup.test, task)
        if job.train and job.recipe is not None:
            check_changes(job.recipe, setup.model)
        if job.deadline is not None:
            job = shorten(job, setup)
        if kept is None:
            setup = replace(setup, drawing=None)
        if job.runtime != "torch":
            setup = _move_to_runtime(job, setup, task)
        runner = make_runner(job, setup)
        for hook in _hooks(runner, ShowProgress):
            stack.callback(hook.close)
        checkpoint = _train(job, setup, runner, task, start) if job.train else None
        setup.metric.predictions, setup.metric.confusion = job.predictions, job.confusion
        metrics = runner.val_loop.run() if job.train else runner.val()
        if not metrics:
            _report_nothing_measured(job, setup.test)
    return Outcome(
        metrics={name: _finite(name, float(value)) for name, value in metrics.items()},
        recipe=job.recipe,
        data=setup.test.identity,
        size=setup.eval_size or job.subject.input_size,
        batch_size=evaluation_batch(job, setup),
        checkpoint=checkpoint,
        training=_training(job, setup, runner) if job.train else None,
        seconds=time.monotonic() - began,
        start=start,
        notes=[note for hook in _hooks(runner, Noting) for note in hook.notes()],
        by_class=setup.metric.by_class,
        options=_built_with(setup),
    )


def _check_annotated(job: Job[Any, Any], test: Source, task: Task[Any, Any]) -> None:
    """Refuses to measure without annotations; predictions can be written without."""
    if test.annotated:
        return
    refused = {"--train": job.train, "--confusion": job.confusion is not None}
    needing = [option for option, is_given in refused.items() if is_given]
    if not needing and job.predictions is not None:
        return
    instead = (
        f"{' and '.join(needing)} need{'s' * (len(needing) == 1)} them"
        if needing
        else f"--predictions FILE{task.predictions} writes what the network predicts"
    )
    raise UserError(f"{test.identity.name} has no annotations: {instead}")


def _report_nothing_measured(job: Job[Any, Any], test: Source) -> None:
    if test.annotated:
        raise UserError(
            f"no readable image of {test.identity.name} has an annotation, so no metric can be "
            "computed"
        )
    if get_rank() == 0:
        _LOG.info(
            "nothing was measured, since %s has no annotations; the predictions are in %s",
            test.identity.name,
            job.predictions,
        )


def _move_to_runtime(job: Job[Any, Any], setup: Setup, task: Task[Any, Any]) -> Setup:
    model = setup.model
    (image,) = task.example_inputs(job.subject)
    graph = task.graph(model.network.eval())
    _LOG.info("converting the network for %s, which may take minutes", job.runtime)
    in_it = in_runtime(graph, image, job.runtime, dtype=job.amp or "float32")
    model.network = task.with_graph(model.network, in_it)
    return replace(setup, notes=[*setup.notes, *task.runtime_notes(job.runtime)])


def _finite(metric: str, value: float) -> float:
    if not math.isfinite(value):
        raise UserError(f"the evaluation gives {metric} {value}, which cannot be recorded")
    return value


def _check_unused(job: Job[Any, Any], folder: Path) -> None:
    if job.train and not job.resume and (folder / CHECKPOINT).exists():
        raise UserError(
            f"{folder} already holds a training: add --resume to go on with it, or choose "
            "another --work-dir"
        )
    given, written = job.weights, (folder / WEIGHTS).resolve()
    if job.train and given and given.resolve() in (written, written.with_suffix(".safetensors")):
        raise UserError(f"{given} would be replaced by what is trained: choose another --work-dir")


def _train(
    job: Job[Any, Any], setup: Setup, runner: Runner, task: Task[Any, Any], start: Start
) -> Path:
    """Trains and saves the weights, the averaged ones where the recipe has an average."""
    assert job.work_dir is not None
    runner.train()
    trained = runner.model.module if is_model_wrapper(runner.model) else runner.model
    for hook in _hooks(runner, AverageWeights):
        trained = hook.ema_model.module
    assert job.recipe is not None
    if job.recipe.precise_bn is not None:
        _measure_statistics(trained, runner, job.recipe)
    file = job.work_dir / WEIGHTS
    if runner.rank == 0:
        meta = _describe(job, setup, task, start, epochs=runner.epoch).to_meta()
        weights = trained.network.state_dict()
        save_checkpoint(file, {"state_dict": weights, "meta": meta})
        save_safetensors(file.with_suffix(".safetensors"), weights, meta)
    return file


def _measure_statistics(trained: Any, runner: Runner, recipe: Recipe) -> None:
    """Measures the norms' statistics on the batches that would come next."""
    loop = runner.train_loop
    count = batches_to_measure(recipe, loop.accumulation)
    measure_statistics(trained, _seeded(loop.more_batches(), runner), count)


def _seeded(batches: Iterator[Any], runner: Runner) -> Iterator[Any]:
    """Batches, before each of which the generators are seeded as the training loop does.

    Else what is random in a forward pass would follow from what was drawn before: nothing where a
    training is resumed after its last step, and images where no other process loads them.
    """
    for step, batch in enumerate(batches, start=runner.iter):
        seed_everything(runner.seed, runner.rank, step)
        yield batch


def _describe(
    job: Job[Any, Any], setup: Setup, task: Task[Any, Any], start: Start, *, epochs: int
) -> Description:
    """What is saved with the weights, so that they can be used without the job."""
    assert job.recipe is not None
    pixels = task.normalization(setup.model.network, job.subject)
    return Description(
        task=job.subject.task,
        method=job.subject.method,
        backbone=job.subject.backbone,
        options=dict(job.subject.options) | _built_with(setup),
        own_options=dict(job.subject.options),
        input_size=job.subject.input_size,
        classes=setup.classes,
        class_ids=setup.class_ids,
        mean=pixels.mean if pixels else (),
        std=pixels.std if pixels else (),
        recipe=job.recipe.name,
        recipe_changes=job.recipe.changes,
        recipe_digest=job.recipe.digest,
        recipe_settings=job.recipe.model_dump(mode="json"),
        epochs=epochs,
        data=setup.train.identity.model_dump() if setup.train else {},
        pretraining=start.pretraining or "",
        of_task=dict(setup.of_task),
    )


def _built_with(setup: Setup) -> dict[str, Any]:
    """The options of the network that recipe and data decide."""
    classes = {"num_classes": len(setup.classes)} if setup.classes else {}
    return dict(setup.options) | classes


def _training(job: Job[Any, Any], setup: Setup, runner: Runner) -> Training:
    assert job.recipe is not None and setup.train is not None
    return Training(
        data=setup.train.identity,
        epochs=runner.max_epochs,
        steps=runner.max_iters,
        batch_size=job.recipe.batch_size,
    )


def _hooks(runner: Runner, kind: type[Hook]) -> list[Any]:
    return [hook for hook in runner.hooks if isinstance(hook, kind)]

"""mmengine's Runner, put together for a job."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import torch
from mmengine.device import get_device
from mmengine.dist import get_dist_info
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner, ValLoop
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import IterableDataset

from mogabench.engine.batches import batches_per_step
from mogabench.engine.curve import KeepCurve
from mogabench.engine.determinism import DeterminismNotes
from mogabench.engine.drawing import DrawPredictions
from mogabench.engine.loading import Loader, evaluation_loader, training_loader
from mogabench.engine.loop import ResumableLoop
from mogabench.engine.optimization import AverageWeights, optim_wrapper
from mogabench.engine.reporting import ImageNotes, InputNotes, ShowProgress
from mogabench.engine.saving import CHECKPOINT, SaveCheckpoints, is_resumable
from mogabench.engine.schedule import FollowSchedule
from mogabench.errors import UserError
from mogabench.files import sha256

if TYPE_CHECKING:
    from mmengine.hooks import Hook
    from mmengine.logging import MMLogger
    from torch import nn

    from mogabench.engine.job import Job
    from mogabench.engine.task import Setup


_REPLACED_HOOKS = (
    *("checkpoint", "param_scheduler", "sampler_seed"),
    *("logger", "runtime_info", "timer"),
)
"""mmengine's defaults that hooks of our own stand in for; see `KeepCurve` for the second line."""


class QuietRunner(Runner):
    """A runner that is silent on the terminal, strict in loading, and dumps no configuration."""

    def build_logger(self, *arguments: Any, **options: Any) -> MMLogger:
        """mmengine's logger without its terminal output, also of a file that cannot be written."""
        logger = super().build_logger(*arguments, **options)
        files = [item for item in logger.handlers if isinstance(item, logging.FileHandler)]
        for item in files:
            item.handleError = _ignore_logging_failure  # type: ignore[method-assign]  # a traceback
        logger.handlers[:] = files
        return logger

    def load_checkpoint(
        self, filename: str, map_location: str = "cpu", *_: Any, **__: Any
    ) -> dict[str, Any]:
        """Loads a checkpoint of `SaveCheckpoints`, which fits exactly and can run no code."""
        checkpoint: dict[str, Any]
        checkpoint = torch.load(filename, map_location=map_location, weights_only=True)
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        model.load_state_dict(checkpoint["state_dict"])
        return checkpoint

    def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
        """Wraps for several processes what they train; another runtime's network has no weights."""
        if any(value.requires_grad for value in model.parameters()):
            wrapped: nn.Module = super().wrap_model(model_wrapper_cfg, model)
            return wrapped
        return model.to(get_device())

    def dump_config(self) -> None:
        """Does nothing: the job is the configuration."""


def _ignore_logging_failure(record: logging.LogRecord) -> None:
    """What a log does of a line that it cannot write: the training goes on without it."""


def make_runner(job: Job[Any, Any], setup: Setup) -> QuietRunner:
    """The Runner of a job.

    Args:
        job: What to do.
        setup: What the task prepared for it.

    Raises:
        UserError: The checkpoint is of another training, or the training data is less than a step.
    """
    rank, world = get_dist_info()
    for source in (setup.train, setup.test):
        if source is not None and not source.identity.samples:
            raise UserError(
                f"{source.identity.name} has no samples in its part '{source.identity.split}'"
            )
    setup.model.adapt(job)
    tested = evaluation_loader(job, setup.test, evaluation_batch(job, setup))
    setup.metric.unread, setup.metric.annotated = tested.left_out, setup.test.annotated
    loaders, options = [tested], dict[str, Any]()
    hooks: list[Hook] = [InputNotes(setup.notes)]
    if rank == 0:
        plan = _plan(job, world) if setup.train is not None else ""
        hooks.append(ShowProgress(quiet=job.quiet, plan=plan))
    if setup.train is not None:
        # Some optimizers, such as Adagrad, make their state at once, where the weights then are.
        setup.model.to(get_device())
        loader = training_loader(job, setup.train, batches_per_step(job)[0])
        identity = _identity(job, loader)
        options = _training_options(job, setup.model.network, loader)
        loaders.insert(0, loader)
        hooks += _training_hooks(job, identity)
        if job.resume and is_resumable(job, identity):
            options |= {"resume": True, "load_from": f"{job.work_dir}/{CHECKPOINT}"}
    hooks += [
        ImageNotes(loaders),
        DeterminismNotes(job, chosen_by_time=setup.same_shapes),
        *setup.hooks,
    ]
    if setup.drawing is not None and job.work_dir is not None:
        hooks.append(DrawPredictions(job.work_dir, setup.drawing))
    return QuietRunner(
        setup.model,
        work_dir=str(job.work_dir),
        val_dataloader=tested,
        val_cfg={"type": ValLoop},
        val_evaluator=Evaluator(setup.metric),
        default_hooks=dict.fromkeys(_REPLACED_HOOKS),
        custom_hooks=hooks,
        launcher="pytorch" if world > 1 else "none",
        randomness={"seed": job.seed},
        env_cfg={"cudnn_benchmark": setup.same_shapes},
        # mmengine keeps one logger and history per name, for the life of the process.
        experiment_name=uuid4().hex,
        cfg={"model_wrapper_cfg": _parallel(job)},
        **options,
    )


def _parallel(job: Job[Any, Any]) -> dict[str, Any]:
    """mmengine's configuration of DistributedDataParallel; `share_buffers` cares for buffers."""
    # The option has another name from PyTorch 2.14 on.
    known = inspect.signature(DistributedDataParallel).parameters
    buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    wrapper: dict[str, Any] = {"type": "MMDistributedDataParallel", buffers: False}
    if job.device == "cpu":
        wrapper["device_ids"] = None
    return wrapper


def evaluation_batch(job: Job[Any, Any], setup: Setup) -> int:
    """Samples per forward pass and device in evaluation."""
    wanted = job.batch_size or setup.eval_batch
    return min(wanted, setup.max_eval_batch or wanted)


def _plan(job: Job[Any, Any], world: int) -> str:
    """An update in words, with the learning rate, which belongs to the recipe's batch size."""
    assert job.recipe is not None
    size, accumulation = batches_per_step(job)
    factors = zip((world, size, accumulation), ("device", "image", "step"), strict=True)
    product = " x ".join(f"{number} {word}{'s' * (number != 1)}" for number, word in factors)
    return (
        f"batch {job.recipe.batch_size} = {product}, learning rate {job.recipe.optimizer.lr:g} "
        "(the recipe's, not rescaled)"
    )


def _identity(job: Job[Any, Any], loader: Loader) -> dict[str, str]:
    """What makes a training the same; a resumed one must have it equal."""
    assert job.recipe is not None
    identity = {
        "network": job.subject.key,
        "recipe digest": job.recipe.digest,
        "data digest": loader.identity.digest,
        "initial weights": "none" if job.weights is None else sha256(job.weights),
        "precision": job.amp or "float32",
    }
    if isinstance(loader.dataset, IterableDataset):
        # A stream's length is rounded up to whole batches of each worker.
        identity["number of steps in an epoch"] = str(len(loader) // batches_per_step(job)[1])
    return identity


def _training_options(job: Job[Any, Any], network: nn.Module, loader: Loader) -> dict[str, Any]:
    assert job.recipe is not None
    accumulation = batches_per_step(job)[1]
    if len(loader) < accumulation:
        # Those of an epoch: sequences are drawn from fewer, or more, images.
        samples = len(loader.dataset)  # type: ignore[arg-type]  # PyTorch's own type has no length
        raise UserError(
            f"{samples} training samples do not fill one batch of {job.recipe.batch_size}; "
            "lower it by --set batch_size=N"
        )
    return {
        "train_dataloader": loader,
        "train_cfg": {
            "type": ResumableLoop,
            "schedule": job.recipe.schedule,
            "accumulation": accumulation,
            "seed": job.seed,
        },
        "optim_wrapper": optim_wrapper(network, job.recipe, amp=job.amp, accumulation=accumulation),
    }


def _training_hooks(job: Job[Any, Any], identity: dict[str, str]) -> list[Hook]:
    assert job.recipe is not None and job.work_dir is not None
    hooks: list[Hook] = [
        KeepCurve(job.work_dir),
        FollowSchedule(job.recipe.schedule),
        SaveCheckpoints(job.work_dir, identity, job.save_seconds),
    ]
    return [AverageWeights(job.recipe.ema), *hooks] if job.recipe.ema else hooks

"""mmengine's Runner, put together for a job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import torch
from mmengine.dist import get_dist_info
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner, ValLoop

from mogabench.engine.curve import KeepCurve
from mogabench.engine.loading import RaiseErrors
from mogabench.engine.loop import ResumableLoop
from mogabench.engine.optimization import AverageWeights, optim_wrapper
from mogabench.engine.reporting import ShowProgress
from mogabench.engine.saving import CHECKPOINT, SaveCheckpoints, is_resumable
from mogabench.engine.schedule import FollowSchedule
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmengine.evaluator import BaseMetric
    from mmengine.hooks import Hook
    from mmengine.logging import MMLogger
    from mmengine.model import BaseModel
    from torch import nn
    from torch.utils.data import DataLoader

    from mogabench.engine.job import Job
    from mogabench.records import Data


_REPLACED_HOOKS = (
    *("checkpoint", "param_scheduler", "sampler_seed"),
    *("logger", "runtime_info", "timer"),
)
"""mmengine's defaults that hooks of our own stand in for; see `KeepCurve` for the second line."""


class QuietRunner(Runner):
    """A runner that is silent on the terminal, strict in loading, and dumps no configuration.

    Attributes:
        train_data: What it trains on; None to evaluate only.
        test_data: What it evaluates on.
    """

    train_data: Data | None
    test_data: Data

    def build_logger(self, *arguments: Any, **options: Any) -> MMLogger:
        """mmengine's logger without its terminal output."""
        logger = super().build_logger(*arguments, **options)
        files = [item for item in logger.handlers if isinstance(item, logging.FileHandler)]
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

    def dump_config(self) -> None:
        """Does nothing: the job is the configuration."""


def batches_per_step(job: Job) -> tuple[int, int]:
    """How a step of the recipe's batch size is made up.

    Returns:
        Images per forward pass of each process, and how many passes a step accumulates.

    Raises:
        UserError: The recipe's batch size cannot be made up so.
    """
    assert job.recipe is not None
    total, world = job.recipe.batch_size, get_dist_info()[1]
    size = job.batch_size or max(total // world, 1)
    if total % (size * world):
        raise UserError(
            f"batches of {size} images on {world} device(s) do not add up to the recipe's "
            f"batch_size {total}; choose a divisor, or --set batch_size=N with the learning rate "
            "that goes with it (it is never rescaled)"
        )
    return size, total // (size * world)


def make_runner(
    job: Job,
    model: BaseModel,
    *,
    training: DataLoader[Any] | None,
    evaluation: DataLoader[Any],
    metric: BaseMetric,
    train_data: Data | None,
    test_data: Data,
    hooks: Sequence[Hook] = (),
    same_shapes: bool = False,
) -> QuietRunner:
    """The Runner of a job.

    Args:
        job: What to do.
        model: Follows mmengine's conventions for models; the optimizer moves its ``network``,
            whose weights are what is saved in the end.
        training: Gives batches of one forward pass; None to evaluate only.
        evaluation: Likewise, for evaluation.
        metric: What to evaluate.
        train_data: What it trains on; None to evaluate only.
        test_data: What it evaluates on.
        hooks: The task's own.
        same_shapes: Whether images are of one size throughout: cuDNN then tries its kernels and
            takes the fastest, which it would do again for every new size.

    Raises:
        UserError: The checkpoint is of another training, or the training data is less than a step.
    """
    rank, world = get_dist_info()
    own_hooks: list[Hook] = [RaiseErrors()]
    options: dict[str, Any] = {}
    if rank == 0:
        plan = _plan(job, world) if training is not None else ""
        own_hooks.append(ShowProgress(quiet=job.quiet, plan=plan))
    if training is not None and train_data is not None:
        identity = _identity(job, train_data)
        options = _training_options(job, model.network, training, train_data)
        own_hooks += _training_hooks(job, identity)
        if job.resume and is_resumable(job, identity):
            options |= {"resume": True, "load_from": f"{job.work_dir}/{CHECKPOINT}"}
    if job.compile:
        model.network.compile()
    on_cpu = job.device == "cpu"
    wrapper = {"type": "MMDistributedDataParallel", "broadcast_buffers": True}
    runner = QuietRunner(
        model,
        work_dir=str(job.work_dir),
        val_dataloader=evaluation,
        val_cfg={"type": ValLoop},
        val_evaluator=Evaluator(metric),
        default_hooks=dict.fromkeys(_REPLACED_HOOKS),
        custom_hooks=[*own_hooks, *hooks],
        launcher="pytorch" if world > 1 else "none",
        randomness={"seed": job.seed},
        env_cfg={"cudnn_benchmark": same_shapes},
        # mmengine keeps one logger and history per name, for the life of the process.
        experiment_name=uuid4().hex,
        cfg={"model_wrapper_cfg": wrapper | ({"device_ids": None} if on_cpu else {})},
        **options,
    )
    runner.train_data, runner.test_data = train_data, test_data
    return runner


def _plan(job: Job, world: int) -> str:
    """A step in words, with the learning rate, which belongs to the recipe's batch size."""
    assert job.recipe is not None
    size, accumulation = batches_per_step(job)
    return (
        f"batch {job.recipe.batch_size} = {size} images x {accumulation} accumulated "
        f"x {world} device(s), learning rate {job.recipe.optimizer.lr:g} as the recipe has it"
    )


def _identity(job: Job, data: Data) -> dict[str, str]:
    """What makes a training the same; a resumed one must have it equal."""
    assert job.recipe is not None
    return {
        "network": job.subject.key,
        "recipe digest": job.recipe.digest,
        "data digest": data.digest,
    }


def _training_options(
    job: Job, network: nn.Module, training: DataLoader[Any], data: Data
) -> dict[str, Any]:
    assert job.recipe is not None
    _, accumulation = batches_per_step(job)
    if len(training) < accumulation:
        raise UserError(
            f"{data.samples} training samples are less than one step of "
            f"{job.recipe.batch_size}; --set batch_size=N takes fewer"
        )
    return {
        "train_dataloader": training,
        "train_cfg": {
            "type": ResumableLoop,
            "schedule": job.recipe.schedule,
            "accumulation": accumulation,
            "seed": job.seed,
        },
        "optim_wrapper": optim_wrapper(network, job.recipe, amp=job.amp, accumulation=accumulation),
    }


def _training_hooks(job: Job, identity: dict[str, str]) -> list[Hook]:
    assert job.recipe is not None and job.work_dir is not None
    hooks: list[Hook] = [
        KeepCurve(job.work_dir),
        FollowSchedule(job.recipe.schedule),
        SaveCheckpoints(job.work_dir, identity, job.save_seconds),
    ]
    return [AverageWeights(job.recipe.ema), *hooks] if job.recipe.ema else hooks

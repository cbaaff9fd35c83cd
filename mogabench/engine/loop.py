"""mmengine's training loop, able to resume from any step."""

from __future__ import annotations

import re
from itertools import count, islice
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop

from mogabench.engine.finite import LossNotFiniteError, explain
from mogabench.engine.randomness import TrainingOrder, seed_everything
from mogabench.engine.saving import CHECKPOINT
from mogabench.engine.statistics import share_buffers
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmengine.runner import Runner
    from torch import nn
    from torch.utils.data import DataLoader

    from mogabench.recipes.schedules import Schedule


_WITHOUT_GRADIENT = re.compile(r"did not receive grad for rank \d+: ([\d ]+)")
"""What DistributedDataParallel says of them in the second step."""


class ResumableLoop(EpochBasedTrainLoop):
    """Trains by steps, each one update of the weights, and starts at the runner's ``iter``.

    An iteration of mmengine is one step here even when gradients are accumulated over several
    batches: learning rate, weight average and checkpoints go by steps, and no checkpoint can fall
    between two batches of a step. The last epoch is shorter where the schedule counts in steps.
    Evaluates as often as the schedule says, but for the end, which the caller does.

    Args:
        runner: The runner.
        dataloader: Gives batches of one forward pass.
        schedule: How long.
        accumulation: Batches per step.
        seed: Of everything random in a step.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader[Any],
        schedule: Schedule,
        *,
        accumulation: int,
        seed: int,
    ) -> None:
        self.steps_per_epoch = len(dataloader) // accumulation
        total = schedule.total_steps(self.steps_per_epoch)
        super().__init__(runner, dataloader, max_epochs=ceil(total / self.steps_per_epoch))
        self.accumulation, self.seed = accumulation, seed
        self.evaluate_every = schedule.evaluate_every
        self._max_iters = total

    def run(self) -> nn.Module:
        """Trains from the current step to the last; returns the model."""
        self.runner.optim_wrapper.initialize_count_status(
            self.runner.model,
            self._iter * self.accumulation,
            self._max_iters * self.accumulation,
        )
        self.runner.call_hook("before_train")
        while self._epoch < self._max_epochs:
            if self._must_evaluate():
                self.runner.val_loop.run()
            self.run_epoch()
        self.runner.call_hook("after_train")
        model: nn.Module = self.runner.model
        return model

    @property
    def epoch_end(self) -> int:
        """The number of steps done when the current epoch ends."""
        end: int = min((self._epoch + 1) * self.steps_per_epoch, self._max_iters)
        return end

    def run_epoch(self) -> None:
        """Runs the steps of the epoch that are still to do."""
        done = self._iter - self._epoch * self.steps_per_epoch
        to_do = self.epoch_end - self._iter
        steps = zip(*[self._batches(self._epoch, done)] * self.accumulation, strict=False)
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        for index, batches in enumerate(islice(steps, to_do), start=done):
            self.run_iter(index, batches)
        if self._iter != self.epoch_end:
            raise UserError(
                f"the training data ended after {self._iter} steps instead of {self.epoch_end}: "
                "its declared size is wrong, or it has fewer shards than --workers times processes"
            )
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def _must_evaluate(self) -> bool:
        """Whether an epoch to evaluate after has just ended.

        Asked before the next one, so that a training which was stopped in the evaluation, after
        the epoch's checkpoint, resumes with it.
        """
        just_ended: bool = self._iter == self._epoch * self.steps_per_epoch
        return self._epoch > 0 and self._epoch % self.evaluate_every == 0 and just_ended

    def run_iter(self, idx: int, data_batch: tuple[Any, ...]) -> None:
        """Runs one step over its batches."""
        self.runner.call_hook("before_train_iter", batch_idx=idx, data_batch=data_batch)
        seed_everything(self.seed, self.runner.rank, self._iter)
        try:
            logs = [
                self.runner.model.train_step(batch, optim_wrapper=self.runner.optim_wrapper)
                for batch in data_batch
            ]
        except LossNotFiniteError as error:
            raise self._diverged(data_batch, error) from None
        except RuntimeError as error:
            if idle := _without_gradient(self.runner.model, error):
                raise UserError(
                    f"the loss does not depend on {len(idle)} parameter(s) of the network, such as "
                    f"{idle[0]}, and several processes cannot train it so: call requires_grad_("
                    "False) on them, or train in one process"
                ) from error
            raise
        share_buffers(self.runner.model)
        outputs = {
            name: torch.stack([log[name].detach() for log in logs]).mean() for name in logs[0]
        }
        self.runner.call_hook(
            "after_train_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs
        )
        self._iter += 1

    def _diverged(self, batches: tuple[Any, ...], error: LossNotFiniteError) -> UserError:
        """What to say of a step whose loss is not finite."""
        runner = self.runner
        seed_everything(self.seed, runner.rank, self._iter)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        where = explain(model, batches, error)
        rate = max(group["lr"] for group in runner.optim_wrapper.optimizer.param_groups)
        advice = "a lower optimizer.lr may keep it finite"
        if model.amp == torch.float16:
            advice = "float16 ends at 65504: --amp bfloat16, or none, has float32's range"
        file = Path(runner.work_dir, CHECKPOINT)
        kept = f"the last good checkpoint is {file}" if file.exists() else "there is no checkpoint"
        return UserError(
            f"the loss is not finite in step {self._iter + 1}, at the learning rate {rate:.3g}: "
            f"{where}; {advice}; {kept}"
        )

    def more_batches(self) -> Iterator[Any]:
        """Training batches that come after the last epoch, as long as anyone asks for them."""
        for epoch in count(self._max_epochs):
            yield from self._batches(epoch, 0)

    def _batches(self, epoch: int, done: int) -> Iterator[Any]:
        """The rest of an epoch's batches, after ``done`` steps."""
        batches = done * self.accumulation
        if isinstance(self.dataloader.sampler, TrainingOrder):
            self.dataloader.sampler.start(epoch, batches * self.dataloader.batch_size)
            return iter(self.dataloader)
        # A stream cannot be entered in the middle: it is read again up to there, by new workers
        # that take the seed of their shuffling from here.
        self.dataloader.dataset.start(epoch)
        seed_everything(self.seed, self.runner.rank, epoch)
        return islice(iter(self.dataloader), batches, None)


def _without_gradient(model: nn.Module, error: RuntimeError) -> list[str]:
    """Names of the network's parameters that an error of DistributedDataParallel is about."""
    found = _WITHOUT_GRADIENT.search(str(error))
    if found is None:
        return []
    learning = [name for name, value in model.named_parameters() if value.requires_grad]
    return [learning[int(number)].removeprefix("module.network.") for number in found[1].split()]

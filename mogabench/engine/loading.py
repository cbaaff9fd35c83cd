"""From a data set to batches: every item's randomness follows from the seed and its draw."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, default_collate

from mogabench.engine.randomness import Draw, EvaluationOrder, TrainingOrder, seed_everything
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmengine.runner import Runner

    from mogabench.engine.job import Job


class Indexed(Protocol):
    """Items by index; what is random in them may use Python's, NumPy's or PyTorch's generator."""

    def __len__(self) -> int:
        """How many items there are."""
        ...

    def __getitem__(self, index: int) -> Any:
        """The item at that place, from 0."""
        ...


class Seeded(Dataset[Any]):
    """A data set whose items are the same ones whenever the same draw is asked for.

    A `UserError` takes the place of an item that cannot be had, so that it leaves a worker as the
    one line it is; `RaiseErrors` raises it.

    Args:
        source: The data set.
        seed: Of what is random in its items.
    """

    def __init__(self, source: Indexed, seed: int) -> None:
        self.source, self.seed = source, seed

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, draw: Draw) -> Any:
        seed_everything(self.seed, draw.number)
        try:
            return self.source[draw.image]
        except UserError as error:
            return error


class RaiseErrors(Hook):
    """Raises what came in the place of a batch."""

    priority = "VERY_HIGH"

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: tuple[Any, ...]
    ) -> None:
        """Looks through the batches of a step."""
        for batch in data_batch:
            self.before_val_iter(runner, batch_idx, batch)

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any) -> None:
        """Looks at a batch."""
        if isinstance(data_batch, UserError):
            raise data_batch


def training_loader(
    job: Job,
    data: Indexed | IterableDataset[Any],
    batch_size: int,
    *,
    collate: Callable[[list[Any]], Any] | None = None,
    repeats: int = 1,
) -> DataLoader[Any]:
    """Batches in random order; an incomplete last batch is dropped.

    Args:
        job: Gives the seed and the number of workers.
        data: What to load; a stream has an order of its own, see `ResumableLoop`.
        batch_size: Items per forward pass.
        collate: Makes a batch of items; None stacks tensors.
        repeats: How often an item follows itself (repeated augmentation).
    """
    if isinstance(data, IterableDataset):
        return _loader(job, data, None, batch_size, collate, drop=True)
    rank, world = get_dist_info()
    order = TrainingOrder(len(data), job.seed, repeats=repeats, rank=rank, world=world)
    return _loader(job, Seeded(data, job.seed), order, batch_size, collate, drop=True)


def evaluation_loader(
    job: Job,
    data: Indexed | IterableDataset[Any],
    batch_size: int,
    *,
    collate: Callable[[list[Any]], Any] | None = None,
) -> DataLoader[Any]:
    """Batches in order, each item once; the arguments are those of `training_loader`."""
    if isinstance(data, IterableDataset):
        return _loader(job, data, None, batch_size, collate)
    rank, world = get_dist_info()
    order = EvaluationOrder(len(data), rank=rank, world=world)
    return _loader(job, Seeded(data, job.seed), order, batch_size, collate)


def _loader(
    job: Job,
    data: Dataset[Any],
    order: Sampler[Draw] | None,
    batch_size: int,
    collate: Callable[[list[Any]], Any] | None,
    *,
    drop: bool = False,
) -> DataLoader[Any]:
    return DataLoader(
        data,
        batch_size,
        sampler=order,
        # A stream is read by workers, which begin each epoch afresh.
        num_workers=job.workers if order else max(job.workers, 1),
        collate_fn=partial(_join, collate or default_collate),
        drop_last=drop,
        pin_memory=job.device != "cpu",
        worker_init_fn=_leave_interrupts_to_the_main_process,
    )


def _join(collate: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    """A batch, or the first error among its items."""
    return next((item for item in items if isinstance(item, UserError)), None) or collate(items)


def _leave_interrupts_to_the_main_process(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

"""Data loaders; what is random in an item follows from the seed and the number of its draw."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING, Any

from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, default_collate

from mogabench.engine.randomness import Draw, EvaluationOrder, TrainingOrder, seed_everything
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmengine.runner import Runner

    from mogabench.engine.job import Job
    from mogabench.engine.task import Indexed, Source


class Seeded(Dataset[Any]):
    """A data set whose items are the same ones whenever the same draw is asked for.

    An item that cannot be read is replaced by its `UserError`, so that the message reaches the main
    process unchanged; `RaiseErrors` raises it there.

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
    """Raises the error that came in the place of a batch."""

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


def training_loader(job: Job[Any, Any], source: Source, batch_size: int) -> DataLoader[Any]:
    """Batches in random order; an incomplete last batch is dropped.

    Args:
        job: Gives the seed and the number of workers.
        source: What to load.
        batch_size: Items per forward pass.
    """
    if isinstance(source.items, IterableDataset):
        return _loader(job, source, source.items, None, batch_size, drop=True)
    rank, world = get_dist_info()
    size = len(source.items)
    order = TrainingOrder(size, job.seed, repeats=source.repeats, rank=rank, world=world)
    return _loader(job, source, Seeded(source.items, job.seed), order, batch_size, drop=True)


def evaluation_loader(job: Job[Any, Any], source: Source, batch_size: int) -> DataLoader[Any]:
    """Batches in order, each item once; the arguments are those of `training_loader`."""
    if isinstance(source.items, IterableDataset):
        return _loader(job, source, source.items, None, batch_size)
    rank, world = get_dist_info()
    order = EvaluationOrder(len(source.items), rank=rank, world=world)
    return _loader(job, source, Seeded(source.items, job.seed), order, batch_size)


def _loader(
    job: Job[Any, Any],
    source: Source,
    items: Dataset[Any],
    order: Sampler[Draw] | None,
    batch_size: int,
    *,
    drop: bool = False,
) -> DataLoader[Any]:
    return DataLoader(
        items,
        batch_size,
        sampler=order,
        # A stream is read by workers, which begin each epoch afresh.
        num_workers=job.workers if order else max(job.workers, 1),
        collate_fn=partial(_join, source.collate or default_collate),
        drop_last=drop,
        pin_memory=job.device != "cpu",
        worker_init_fn=_leave_interrupts_to_the_main_process,
    )


def _join(collate: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    """A batch, or the first error among its items."""
    return next((item for item in items if isinstance(item, UserError)), None) or collate(items)


def _leave_interrupts_to_the_main_process(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

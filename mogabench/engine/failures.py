"""What ends a run from outside: memory that is used up, and processes that are killed."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mogabench.engine.job import Job

_OUT_OF_MEMORY = re.compile(r"out of memory|DefaultCPUAllocator|CU\w+_STATUS_ALLOC_FAILED")
_LOST_WORKER = re.compile(r"DataLoader worker \(pid.*(killed by signal|exited unexpectedly)")
"""What PyTorch's errors say; those of the CPU have no class of their own."""


@contextmanager
def in_one_line(job: Job[Any, Any]) -> Iterator[None]:
    """Turns the errors of used up memory and of killed loaders into a line with what to lower.

    Args:
        job: Says how much is done at once.

    Raises:
        UserError: There was no memory left, or a process that loads data was killed.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if _is_out_of_memory(error):
            raise UserError(_out_of_memory(job)) from error
        if _LOST_WORKER.search(str(error)):
            raise UserError(
                "a process that loads data was killed, perhaps for lack of memory: fewer --workers "
                f"than {job.workers}, or a smaller --batch-size, need less{_resume(job)}"
            ) from error
        raise


def _is_out_of_memory(error: Exception) -> bool:
    kinds = MemoryError | torch.OutOfMemoryError
    return isinstance(error, kinds) or bool(_OUT_OF_MEMORY.search(str(error)))


def _out_of_memory(job: Job[Any, Any]) -> str:
    """What to lower: of a training, the samples of a pass, whose gradients add up to the batch."""
    where = "memory" if job.device == "cpu" else "the GPU's memory"
    lower = "a smaller --batch-size"
    if job.batch_size is not None:
        lower += f" than {job.batch_size}"
    elif job.train and job.recipe is not None:
        lower += f" than the recipe's {job.recipe.batch_size}, which stays the batch of a step,"
    if job.device != "cpu" and job.amp is None:
        lower += " or --amp bfloat16"
    if job.device == "cpu" and job.workers:
        lower += f" or fewer --workers than {job.workers}"
    return f"{where} is used up: {lower} needs less{_resume(job)}"


def _resume(job: Job[Any, Any]) -> str:
    return "; --resume goes on from the last checkpoint" if job.train else ""

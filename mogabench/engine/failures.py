"""What ends a run from outside: used up memory, killed processes, and a missing compiler."""

from __future__ import annotations

import re
from contextlib import contextmanager
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError, is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mogabench.engine.job import Job

_LOST_WORKER = re.compile(r"DataLoader worker \(pid.*(killed by signal|exited unexpectedly)")
_FULL_SHARED_MEMORY = re.compile(
    r"unable to (allocate shared memory|write to file </torch_)|out of shared memory"
)
_NO_COMPILER = re.compile(r"Failed to find C compiler|Command .*triton.* non-zero exit")
"""What errors of PyTorch and Triton say; those of the CPU have no class of their own."""


@contextmanager
def in_one_line(job: Job[Any, Any]) -> Iterator[None]:
    """Turns the errors of what is used up, killed or lacking into a line with what to change.

    Args:
        job: Says how much is done at once.

    Raises:
        UserError: There was no memory left, a process that loads data was killed, or there is no
            compiler.
    """
    by_layout = job.channels_last and not job.compile
    try:
        with naming_compiler(", or add --no-channels-last" if by_layout else ""):
            yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise UserError(_out_of_memory(job)) from error
        if _FULL_SHARED_MEMORY.search(str(error)):
            raise UserError(
                "/dev/shm is full: --workers 0, a smaller --batch-size or docker's --shm-size "
                f"helps{_resume(job)}"
            ) from error
        if _LOST_WORKER.search(str(error)):
            raise UserError(
                "a process that loads data was killed, perhaps for lack of memory: fewer --workers "
                f"than {job.workers}, or a smaller --batch-size, need less{_resume(job)}"
            ) from error
        raise


@contextmanager
def naming_compiler(instead: str = "") -> Iterator[None]:
    """Turns the error of Triton, whose first kernel is built by a C compiler, into a line.

    Args:
        instead: What helps as well.

    Raises:
        UserError: There is no compiler, or it finds no headers of Python.
    """
    try:
        yield
    except (RuntimeError, CalledProcessError) as error:
        if not _NO_COMPILER.search(str(error)):
            raise
        raise UserError(
            f"Triton needs a C compiler and Python's headers: install them{instead}"
        ) from error


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

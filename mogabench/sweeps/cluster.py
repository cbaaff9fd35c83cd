"""The measurements of a plan on a SLURM cluster, as one job array through submitit."""

from __future__ import annotations

import logging
import re
import shlex
import sys
import time
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError, unknown
from mogabench.progress import progress
from mogabench.sweeps.local import Children, Failure, Place, execute, last_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mogabench.sweeps.plan import Measurement

_LOG = logging.getLogger(__name__)

_NAMES = {"gpus": "gpus_per_node", "cpus": "cpus_per_task", "jobs": "array_parallelism"}
"""What ``--slurm`` calls some of submitit's parameters; the others have sbatch's own names."""

_LOST = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED")
"""States in which a job ended through no fault of its own, as ``sacct`` calls them.

A preempted job may be queued again by SLURM: it is lost where it is still preempted at a second
look.
"""

_SECONDS_BETWEEN_QUESTIONS = 30.0


@dataclass(frozen=True)
class Job:
    """What a node runs: a measurement's command, begun again where it was preempted.

    Attributes:
        item: The measurement.
        place: Where it writes; the nodes see the same file system.
    """

    item: Measurement
    place: Place

    def __call__(self) -> None:
        """Runs the command.

        Raises:
            RuntimeError: It failed; the text is the last line that it wrote.
        """
        if execute(self.item, self.place, Children()):
            raise RuntimeError(last_line(self.place.log(self.item)))

    def checkpoint(self) -> Any:
        """What submitit queues again where SLURM preempts the job or its time is over.

        The command itself goes on from its newest checkpoint.
        """
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def slurm_executor(place: Place, parameters: Mapping[str, str]) -> Any:
    """An executor of submitit for SLURM.

    Args:
        place: Where the sweep writes; submitit keeps its files in ``slurm`` below it.
        parameters: Such as partition, gpus, cpus, time (``8h``, minutes, or ``2-00:00:00``) and
            mem, and further ones of sbatch by their names, such as account.

    Raises:
        UserError: submitit is not installed, there is no SLURM here, or a parameter is unknown.
    """
    try:
        from submitit import SlurmExecutor
    except ImportError:
        raise UserError("--slurm needs submitit: pip install 'mogabench[slurm]'") from None
    python = f"{shlex.quote(sys.executable)} -P"  # nothing is imported from the current folder
    try:
        executor = SlurmExecutor(place.work / "slurm", max_num_timeout=100, python=python)
    except RuntimeError:
        raise UserError("there is no SLURM here: srun is not found") from None
    given = {_NAMES.get(name, name): value for name, value in parameters.items()}
    valid = executor._valid_parameters()
    for name in given.keys() - valid:
        raise unknown("parameter of --slurm", name, sorted({*valid, *_NAMES}))
    values = {name: int(value) if value.isdecimal() else value for name, value in given.items()}
    if "time" in values:
        values["time"] = minutes(str(values["time"]))
    executor.update_parameters(job_name="mogabench", **values)
    return executor


def minutes(text: str) -> int:
    """The minutes of a time as sbatch takes it, or with a unit (``30m``, ``8h``, ``2d``).

    sbatch's are ``minutes``, ``minutes:seconds``, ``hours:minutes:seconds``, ``days-hours``,
    ``days-hours:minutes`` and ``days-hours:minutes:seconds``. A part of a minute is a whole one.

    Raises:
        UserError: It is none.
    """
    in_minutes = {"m": 1, "h": 60, "d": 24 * 60}
    if unit := re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([mhd])", text):
        return ceil(float(unit[1]) * in_minutes[unit[2]])
    clock = re.fullmatch(r"(?:(\d{1,9})-)?(\d{1,9})(?::(\d{1,9}))?(?::(\d{1,9}))?", text)
    if clock is None:
        raise UserError(f"time={text}: give minutes, 8h, 2d, HH:MM:SS or D-HH:MM:SS")
    days, *parts = clock.groups()
    numbers = [int(part) for part in parts if part is not None]
    if days is None and len(numbers) < 3:
        numbers.insert(0, 0)  # no hours: the first one is minutes
    hours, mins, seconds = (*numbers, 0, 0)[:3]
    return (int(days or 0) * 24 + hours) * 60 + mins + ceil(seconds / 60)


def run_by(
    executor: Any,
    items: Sequence[Measurement],
    place: Place,
    *,
    retries: int,
    quiet: bool,
    wait: Callable[[float], None] = time.sleep,
) -> list[Failure]:
    """Runs measurements as one array of an executor of submitit; returns those that failed.

    Args:
        executor: submitit's.
        items: The measurements.
        place: Where they write.
        retries: How often one that was preempted, or whose node failed, is submitted again.
        quiet: Plain lines instead of a progress bar.
        wait: Waits for some seconds between two looks at the jobs.
    """
    place.work.mkdir(parents=True, exist_ok=True)
    jobs = _submit(executor, items, place)
    tries = dict.fromkeys(items, 0)
    failures: list[Failure] = []
    preempted: set[Measurement] = set()
    with progress("measurements", len(items), quiet=quiet) as step:
        while jobs:
            wait(_SECONDS_BETWEEN_QUESTIONS)
            before, preempted = preempted, set()
            for item, job in list(jobs.items()):
                if not job.done(force_check=True):
                    if _state(job) == "PREEMPTED":
                        preempted.add(item)
                    if item not in preempted & before:
                        continue
                del jobs[item]
                reason = _failure(job)
                if reason is not None and _is_lost(job) and tries[item] < retries:
                    tries[item] += 1
                    _LOG.warning("%s: %s; submitted again", item.name, reason)
                    jobs |= _submit(executor, [item], place)
                    continue
                if reason is not None:
                    failures.append(Failure(item, reason))
                step(f"{item.name}{': failed' * (reason is not None)} ({len(failures)} failed)")
    return failures


def _submit(executor: Any, items: Sequence[Measurement], place: Place) -> dict[Measurement, Any]:
    with executor.batch():
        return {item: executor.submit(Job(item, place)) for item in items}


def _failure(job: Any) -> str | None:
    """Why a job failed, in a line; None where it did not."""
    if _is_lost(job):
        return f"SLURM says {job.state}"
    error = job.exception()
    if error is None:
        return None
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raised = [line.partition("RuntimeError: ")[2] for line in lines if "RuntimeError: " in line]
    return raised[-1] if raised else f"{lines[0]} (SLURM says {job.state})"


def _is_lost(job: Any) -> bool:
    """Whether a job ended without a result and through no fault of its own."""
    return _state(job) in _LOST and not job.paths.result_pickle.exists()


def _state(job: Any) -> str:
    """What sacct said last, such as ``CANCELLED`` of ``CANCELLED by 0``."""
    return str(job.state).split()[0].rstrip("+")

"""How long a process that computes on the CPU lacked a core."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_THREADS = Path("/proc/self/task")


class CoreTimes(NamedTuple):
    """Clocks of this process, in seconds.

    Attributes:
        wall: The time of day, from any start.
        cpu: CPU time of all threads together.
        waited: How long each thread, by its number, was ready to run and had no core; empty where
            the system does not say, as all but Linux.
    """

    wall: float
    cpu: float
    waited: Mapping[str, float]


def read_core_times() -> CoreTimes:
    """Reads the clocks."""
    return CoreTimes(time.perf_counter(), time.process_time(), _waited())


def lacked_core(before: CoreTimes, after: CoreTimes) -> float:
    """The part of the time in between, in %, in which the process lacked a core.

    Between the readings the process must always have had something to compute. The result is the
    greater of two parts of the wall time, as each misses something:

    - what CPU time is short of one thread's: it shows also a hypervisor that takes the core away,
      and a quota of CPU time, but with several threads hardly anything;
    - the longest time that one thread waited for a core: in an operator that is divided among
      threads, all wait for the last one. Its sum over the threads would count one wait often.
    """
    wall = after.wall - before.wall
    idle = wall - (after.cpu - before.cpu)
    waits = (total - before.waited.get(thread, 0.0) for thread, total in after.waited.items())
    return 100 * max(0.0, idle, *waits) / wall


def _waited() -> dict[str, float]:
    """The second field of each thread's schedstat, which is in nanoseconds."""
    waited = {}
    for path in _THREADS.glob("*/schedstat"):
        with suppress(OSError):  # the thread has just ended
            waited[path.parent.name] = int(path.read_text().split()[1]) / 1e9
    return waited

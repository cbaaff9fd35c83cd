"""Processes: their cores, and children that end with their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


def count_cores() -> int:
    """The cores that this process may use; the machine's where the system does not say."""
    if hasattr(os, "sched_getaffinity"):  # macOS has none
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def die_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """Has the kernel end this process when the one that started it ends, however that ends.

    For the start of a child, such as an initializer of a pool; on Linux only.

    Args:
        by: The signal that ends it.
    """
    if _LIBC is None:
        return
    parent = os.getppid()
    _LIBC.prctl(_PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:  # it ended before the kernel knew
        os.kill(os.getpid(), by)

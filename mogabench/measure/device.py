"""How each sort of device is timed, and how its memory is read."""

from __future__ import annotations

import ctypes
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


class Meter(Protocol):
    """A device's stopwatch and memory gauge."""

    def time(self, step: Callable[[], object]) -> None:
        """Runs ``step`` once and remembers how long it took, without waiting for the device."""
        ...

    def laps(self) -> list[float]:
        """Milliseconds of every timed step, oldest first; waits for the device."""
        ...

    def wait(self) -> None:
        """Returns when the device has finished everything it was given."""
        ...

    def clear(self) -> None:
        """Forgets the laps and hands unused memory back, before a network is built."""
        ...

    def restart_peak(self) -> None:
        """From here on, a new highest use of memory is looked for."""
        ...

    def peak_bytes(self) -> int | None:
        """The highest use of memory since `restart_peak`, or None where none can be read."""
        ...


class CpuMeter:
    """Wall-clock time, and the growth of this process's resident set.

    The growth is the highest resident set since `restart_peak` less the resident set at `clear`:
    weights, activations and inputs, but also libraries loaded and memory kept by the compiler in
    between. Linux alone lets a process restart its peak; elsewhere there is no figure.
    """

    _STATUS = Path("/proc/self/status")
    _RESTART = Path("/proc/self/clear_refs")

    def __init__(self) -> None:
        self.clear()

    def time(self, step: Callable[[], object]) -> None:
        """Runs ``step`` between two readings of the clock."""
        began = time.perf_counter_ns()
        step()
        self._laps.append((time.perf_counter_ns() - began) / 1e6)

    def laps(self) -> list[float]:
        """The laps in milliseconds."""
        return self._laps

    def wait(self) -> None:
        """Does nothing: the CPU has finished when a call returns."""

    def clear(self) -> None:
        """Forgets the laps and takes the present resident set as the base."""
        self._laps: list[float] = []
        with suppress(AttributeError):  # other C libraries than glibc have no such call
            ctypes.CDLL(None).malloc_trim(0)  # else the network takes what the heap kept for free
        self._base = self._resident("VmRSS")

    def restart_peak(self) -> None:
        """Lowers the kernel's high-water mark to the present resident set."""
        if self._base is not None:
            self._RESTART.write_text("5")

    def peak_bytes(self) -> int | None:
        """Bytes by which the high-water mark lies above the base."""
        highest = self._resident("VmHWM")
        return None if highest is None or self._base is None else max(0, highest - self._base)

    def _resident(self, field: str) -> int | None:
        if not self._RESTART.exists():
            return None
        line = next(x for x in self._STATUS.read_text().splitlines() if x.startswith(field))
        return int(line.split()[1]) * 1024


_new_event = partial(torch.cuda.Event, enable_timing=True)


class CudaMeter:
    """A pair of CUDA events per step, read after one wait at the end.

    Nothing waits inside the loop, so the host queues steps ahead of the device as it would in use.
    Memory is what PyTorch's allocator handed out at most: weights, inputs, activations and
    workspaces, without the CUDA context.

    Args:
        new_event: Makes an event; a test gives a stand-in.
        synchronize: Waits for the device; likewise.
    """

    def __init__(
        self,
        new_event: Callable[[], torch.cuda.Event] = _new_event,
        synchronize: Callable[[], None] = torch.cuda.synchronize,
    ) -> None:
        self._new_event = new_event
        self._synchronize = synchronize
        self._pairs: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def time(self, step: Callable[[], object]) -> None:
        """Queues ``step`` between two events."""
        start, end = self._new_event(), self._new_event()
        start.record()
        step()
        end.record()
        self._pairs.append((start, end))

    def laps(self) -> list[float]:
        """The laps in milliseconds, after one wait for the device."""
        self.wait()
        return [start.elapsed_time(end) for start, end in self._pairs]

    def wait(self) -> None:
        """Waits for everything queued."""
        self._synchronize()

    def clear(self) -> None:
        """Forgets the laps and empties the allocator's cache."""
        self._pairs.clear()
        torch.cuda.empty_cache()

    def restart_peak(self) -> None:
        """Restarts the allocator's peak at what is allocated now, weights and inputs included."""
        torch.cuda.reset_peak_memory_stats()

    def peak_bytes(self) -> int | None:
        """Bytes allocated at most."""
        return torch.cuda.max_memory_allocated()


def meter_for(device: str) -> Meter:
    """The meter of a device, ``"cpu"`` or ``"cuda"``."""
    return CpuMeter() if device == "cpu" else CudaMeter()

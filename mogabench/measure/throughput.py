"""Images per second, latency and peak memory of a step, such as a forward pass."""

from __future__ import annotations

import gc
import time
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from mogabench.errors import UserError, is_out_of_memory
from mogabench.machine import device_name, driver_version
from mogabench.measure.confidence import median_interval
from mogabench.measure.cores import lacked_core, read_core_times
from mogabench.measure.device import Meter, meter_for
from mogabench.measure.settings import (
    FIRST_BATCH,
    LARGEST_THAT_FITS,
    Round,
    Settings,
    Throughput,
)
from mogabench.measure.trust import MOST_MEDIAN_ERROR
from mogabench.records import FEWEST_ITERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mogabench.measure.steps import MakeStep

__all__ = ["Prepared", "Settings", "Throughput", "measure", "measure_rounds", "prepare"]

_ROUND_SECONDS = 0.5


class Prepared(NamedTuple):
    """A step that has run and is warm.

    Attributes:
        step: Runs it once on a batch.
        batch_size: Inputs of a batch, after any backing off.
        first_seconds: How long the first run took, in seconds.
        meter: Stopwatch and memory gauge.
    """

    step: Callable[[], object]
    batch_size: int
    first_seconds: float
    meter: Meter


def measure(make_step: MakeStep, settings: Settings, meter: Meter | None = None) -> Throughput:
    """Times a step again and again; arguments and errors as in `prepare`."""
    ready = prepare(make_step, settings, meter)
    ready.meter.restart_peak()
    before = read_core_times()
    _time(ready.step, settings, ready.meter)
    laps = ready.meter.laps()
    lacked = lacked_core(before, read_core_times()) if settings.device == "cpu" else None
    return Throughput(
        **_statistics(laps, ready.batch_size),
        lacked_core=lacked,
        peak_memory=ready.meter.peak_bytes() if _sees_memory(settings) else None,
        batch_size=ready.batch_size,
        iterations=len(laps),
        seconds=sum(laps) / 1000,
        compile_seconds=ready.first_seconds if settings.compile else None,
        device=device_name(settings.device),
        driver=driver_version(settings.device),
        threads=torch.get_num_threads(),
        notes=tuple(_notes(settings, ready.batch_size)),
    )


def measure_rounds(ready: Prepared, settings: Settings) -> Iterator[Round]:
    """Times half a second of steps, and at least one, each time it is asked.

    A step before them is not timed: another network may have had the device in between.
    """
    passes = ceil(_ROUND_SECONDS / _seconds(ready))
    while True:
        ready.meter.clear()
        _seconds(ready)
        before = read_core_times()
        for _ in range(passes):
            ready.meter.time(ready.step)
        laps = ready.meter.laps()
        lacked = lacked_core(before, read_core_times()) if settings.device == "cpu" else None
        yield Round(float(np.median(laps)), passes, ready.batch_size, lacked)


def _seconds(ready: Prepared) -> float:
    """How long one step takes from its call to its end."""
    began = time.perf_counter()
    ready.step()
    ready.meter.wait()
    return time.perf_counter() - began


def prepare(make_step: MakeStep, settings: Settings, meter: Meter | None = None) -> Prepared:
    """Makes a step, finds a batch size that fits, and warms up.

    Args:
        make_step: Makes the step for a batch size; see `mogabench.measure.steps`.
        settings: How to measure.
        meter: Stopwatch and memory gauge; by default the device's own.

    Raises:
        UserError: The device's memory does not suffice, even after any backing off.
    """
    meter = meter or meter_for(settings.device)
    for batch_size in _batch_sizes(settings):
        meter.clear()
        try:
            return _attempt(make_step, settings, batch_size, meter)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Only here, with the exception gone, does nothing hold the network any more.
        torch.compiler.reset()
        gc.collect()
    advice = "; try --batch-size auto" if settings.batch_size != "auto" else ""
    raise UserError(f"out of memory at batch size {batch_size}{advice}")


def _batch_sizes(settings: Settings) -> Iterator[int]:
    if settings.batch_size != "auto":
        yield settings.batch_size
        return
    size = FIRST_BATCH[settings.device]
    while size:
        yield size
        size //= 2


def _attempt(make_step: MakeStep, settings: Settings, batch_size: int, meter: Meter) -> Prepared:
    step = make_step(batch_size)
    began = time.perf_counter()
    step()
    meter.wait()
    first_seconds = time.perf_counter() - began
    _warm_up(step, settings.warmup_seconds, meter)
    return Prepared(step, batch_size, first_seconds, meter)


def _warm_up(step: Callable[[], object], seconds: float, meter: Meter) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        step()
        meter.wait()


def _time(step: Callable[[], object], settings: Settings, meter: Meter) -> None:
    began, count, look_at = time.perf_counter(), 0, settings.min_iterations
    while True:
        meter.time(step)
        count += 1
        seconds = time.perf_counter() - began
        if count < settings.min_iterations or seconds < settings.min_seconds:
            continue
        if seconds >= settings.max_seconds:
            return
        if count >= look_at:
            error = _median_error(meter.laps())
            if error is not None and error <= MOST_MEDIAN_ERROR:
                return
            look_at = int(1.1 * count) + 1  # rarely, as reading the laps waits for the device


def _median_error(laps: Sequence[float]) -> float | None:
    """Half the 95 % confidence interval of the median, as % of the median."""
    interval = median_interval(laps)
    return None if interval is None else 50 * (interval[1] - interval[0]) / float(np.median(laps))


def _statistics(laps: Sequence[float], batch_size: int) -> dict[str, Any]:
    """What is known of passes that took these times, in milliseconds; by field of `Throughput`."""
    p10, p50, p90, p99 = (float(lap) for lap in np.percentile(laps, (10, 50, 90, 99)))
    on_percentiles = {"latency_p90": p90, "latency_p99": p99, "spread": 50 * (p90 - p10) / p50}
    return {
        "throughput": 1000 * batch_size / p50,
        "latency_p50": p50,
        "median_error": _median_error(laps),
        **{
            name: value if len(laps) >= FEWEST_ITERATIONS[name] else None
            for name, value in on_percentiles.items()
        },
    }


def _sees_memory(settings: Settings) -> bool:
    """PyTorch's allocator does not know what another runtime takes of a GPU."""
    return settings.device == "cpu" or settings.runtime == "torch"


def _notes(settings: Settings, batch_size: int) -> Iterator[str]:
    first = FIRST_BATCH[settings.device]
    if settings.batch_size == "auto" and batch_size < first:
        yield f"{LARGEST_THAT_FITS} of {first} and its halves"
    if settings.device == "cpu":
        kept = ", with what the compiler keeps" if settings.compile else ""
        yield f"peak_memory is the growth of the process's resident set above its libraries'{kept}"
    elif settings.dtype == "float32" and torch.backends.cudnn.allow_tf32:
        yield "convolutions may use TF32, which is PyTorch's default"

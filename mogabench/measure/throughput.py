"""Images per second, latency and peak memory of inference."""

from __future__ import annotations

import gc
import time
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from mogabench.errors import UserError
from mogabench.machine import device_name, driver_version
from mogabench.measure.confidence import median_interval
from mogabench.measure.cores import lacked_core, read_core_times
from mogabench.measure.device import Meter, meter_for
from mogabench.measure.settings import Round, Settings, Throughput
from mogabench.measure.trust import MOST_MEDIAN_ERROR
from mogabench.records import FEWEST_ITERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

__all__ = ["Prepared", "Settings", "Throughput", "measure", "measure_rounds", "prepare"]

_FIRST_BATCH = {"cuda": 256, "cpu": 8}
_ROUND_SECONDS = 0.5
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED")


class Prepared(NamedTuple):
    """A network that has run and is warm.

    Attributes:
        step: Runs it once on a batch.
        batch_size: Inputs of a batch, after any backing off.
        first_seconds: How long the first pass took, in seconds.
        meter: Stopwatch and memory gauge.
    """

    step: Callable[[], object]
    batch_size: int
    first_seconds: float
    meter: Meter


def measure(
    build: Callable[[], nn.Module],
    inputs: Callable[[int], tuple[Tensor, ...]],
    settings: Settings,
    meter: Meter | None = None,
) -> Throughput:
    """Times forward passes of a network in inference mode; arguments and errors as in `prepare`."""
    ready = prepare(build, inputs, settings, meter)
    ready.meter.restart_peak()
    before = read_core_times()
    with torch.inference_mode():
        _time(ready.step, settings, ready.meter)
    laps = ready.meter.laps()
    lacked = lacked_core(before, read_core_times()) if settings.device == "cpu" else None
    return Throughput(
        **_statistics(laps, ready.batch_size),
        lacked_core=lacked,
        peak_memory=ready.meter.peak_bytes(),
        batch_size=ready.batch_size,
        iterations=len(laps),
        seconds=sum(laps) / 1000,
        compile_seconds=ready.first_seconds if settings.compile else None,
        device=device_name(settings.device),
        driver=driver_version(settings.device),
        threads=torch.get_num_threads(),
        notes=_notes(settings),
    )


def measure_rounds(ready: Prepared, settings: Settings) -> Iterator[Round]:
    """Times half a second of forward passes, and at least one, each time it is asked.

    A pass before them is not timed: another network may have had the device in between.
    """
    with torch.inference_mode():
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
    """How long one pass takes from its call to its end."""
    began = time.perf_counter()
    ready.step()
    ready.meter.wait()
    return time.perf_counter() - began


def prepare(
    build: Callable[[], nn.Module],
    inputs: Callable[[int], tuple[Tensor, ...]],
    settings: Settings,
    meter: Meter | None = None,
) -> Prepared:
    """Builds a network, finds a batch size that fits, and warms up.

    Lets cuDNN search for the fastest algorithm in the whole process, which should therefore be one
    of its own: see `mogabench.measure.worker`.

    Args:
        build: Makes the network, on the current default device.
        inputs: Makes the inputs for a batch size, likewise.
        settings: How to measure.
        meter: Stopwatch and memory gauge; by default the device's own.

    Raises:
        UserError: The device's memory does not suffice, even after any backing off.
    """
    torch.backends.cudnn.benchmark = True
    meter = meter or meter_for(settings.device)
    for batch_size in _batch_sizes(settings):
        meter.clear()
        try:
            return _attempt(build, inputs, settings, batch_size, meter)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
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
    size = _FIRST_BATCH[settings.device]
    while size:
        yield size
        size //= 2


def _is_out_of_memory(error: RuntimeError) -> bool:
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(x in text for x in _OUT_OF_MEMORY)


def _attempt(
    build: Callable[[], nn.Module],
    inputs: Callable[[int], tuple[Tensor, ...]],
    settings: Settings,
    batch_size: int,
    meter: Meter,
) -> Prepared:
    step = _step(build, inputs, settings, batch_size)
    with torch.inference_mode():
        began = time.perf_counter()
        step()
        meter.wait()
        first_seconds = time.perf_counter() - began
        _warm_up(step, settings.warmup_seconds, meter)
    return Prepared(step, batch_size, first_seconds, meter)


def _step(
    build: Callable[[], nn.Module],
    inputs: Callable[[int], tuple[Tensor, ...]],
    settings: Settings,
    batch_size: int,
) -> Callable[[], object]:
    torch.manual_seed(settings.seed)
    with torch.device(settings.device):
        network, batch = build(), inputs(batch_size)
    # Another runtime takes and gives float32 whatever it computes in.
    dtype = getattr(torch, settings.dtype if settings.runtime == "torch" else "float32")
    network = network.eval().to(settings.device, dtype)
    batch = tuple(x.to(settings.device, dtype if x.is_floating_point() else None) for x in batch)
    if settings.channels_last:
        network = network.to(memory_format=torch.channels_last)
        batch = tuple(x.to(memory_format=torch.channels_last) if x.ndim == 4 else x for x in batch)
    forward = torch.compile(network, dynamic=False) if settings.compile else network
    return lambda: forward(*batch)


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


def _notes(settings: Settings) -> tuple[str, ...]:
    if settings.device == "cpu":
        return ("peak_memory is the growth of the process's resident set",)
    if settings.dtype == "float32" and torch.backends.cudnn.allow_tf32:
        return ("convolutions may use TF32, which is PyTorch's default",)
    return ()

"""MogaNet on a CPU: eager, fused, and in other runtimes, in one run on one thread.

    python benchmarks/cpu.py moganet_small --batch-size 4 --beside convnext_tiny
    python benchmarks/cpu.py moganet_tiny --batch-size 1

The baseline is the network as released: eager, NCHW, float32. All ways take turns, round by
round, and each is timed by the CPU time of the process, so that other processes on the machine
count for little. The floor is the network's multiplications at the machine's own rate, that of
`mogabench profile`: the better of a matrix product and a 1x1 convolution, timed in every round. The
peak of memory is that of a process of its own, above what its imports take.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import timm
import torch
from torch import Tensor, nn

from mogabench.machine import device_name
from mogabench.measure.complexity import count
from mogabench.measure.rates import products
from mogabench.models import fuse
from mogabench.runtimes import FORMATS, RUNTIMES, export
from mogabench.runtimes.runtime import OpenVino

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 224
_SIDE = 1536


class Way(NamedTuple):
    """A way to run a network; ``runtime`` is ``torch`` or one of the project's."""

    network: str
    runtime: str
    dtype: str = "float32"
    fused: bool = False
    channels_last: bool = False

    @property
    def name(self) -> str:
        """In words."""
        words = [self.network, self.runtime, self.dtype]
        words += ["fused"] * self.fused + ["NHWC"] * self.channels_last
        return " ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--beside", help="another network, in its own ways")
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{device_name('cpu')}, one thread, batch {chosen.batch_size}, torch {torch.__version__}")
    ways = _ways(chosen.network)
    if chosen.beside:
        ways += [way for way in _ways(chosen.beside) if not way.fused]
    with TemporaryDirectory() as folder:
        _write_files(ways, Path(folder))
        peaks = [_peak(way, Path(folder), chosen.batch_size) for way in ways]
        calls = [_call(way, Path(folder), chosen.batch_size) for way in ways]
        _print(ways, peaks, *_time(calls, chosen.rounds), chosen.batch_size)


def _ways(network: str) -> list[Way]:
    ways = [
        Way(network, "torch"),
        Way(network, "torch", channels_last=True),
        Way(network, "torch", fused=True, channels_last=True),
    ]
    for runtime, kind in RUNTIMES.items():
        ways += [Way(network, runtime, dtype, fused) for dtype in kind.dtypes for fused in (0, 1)]
    return ways


def _file(way: Way, folder: Path) -> Path:
    ending = FORMATS[RUNTIMES[way.runtime].format].ending
    return folder / f"{way.network}-{way.fused}{ending}"


def _write_files(ways: list[Way], folder: Path) -> None:
    for way in ways:
        if way.runtime != "torch" and not _file(way, folder).exists():
            kind = RUNTIMES[way.runtime]
            image = torch.zeros(1, 3, SIZE, SIZE)
            export(_build(way), image, _file(way, folder), kind.format, fused=way.fused)


def _build(way: Way) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(way.network).eval()


def _call(way: Way, folder: Path, batch_size: int) -> Callable[[], Tensor]:
    images = torch.randn(batch_size, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    if way.runtime != "torch":
        opened = _open(way, folder)
        return lambda: opened(images)
    network = fuse(_build(way)) if way.fused else _build(way)
    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    network, images = network.to(memory_format=layout), images.to(memory_format=layout)
    return lambda: network(images)


def _open(way: Way, folder: Path) -> nn.Module:
    return RUNTIMES[way.runtime](_file(way, folder), dtype=way.dtype, threads=1)


def _peak(way: Way, folder: Path, batch_size: int) -> int:
    """Bytes that a process of its own grows by while it runs the network twice."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grow, (way, folder, batch_size))


@torch.inference_mode()
def _grow(way: Way, folder: Path, batch_size: int) -> int:
    torch.set_num_threads(1)
    if way.runtime != "torch":
        __import__(RUNTIMES[way.runtime].package)
    before = _resident("VmRSS")
    call = _call(way, folder, batch_size)
    call()
    call()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"no {field} in /proc/self/status")


@torch.inference_mode()
def _time(
    calls: list[Callable[[], Tensor]], rounds: int
) -> tuple[list[list[float]], dict[str, float]]:
    """CPU seconds of each call in each round, and the machine's multiply-accumulates a second."""
    for call in calls:
        call()
        call()
    seconds: list[list[float]] = [[] for _ in calls]
    rates: dict[str, list[float]] = {dtype: [] for dtype in OpenVino.dtypes}
    multiplying = {dtype: products("cpu", dtype, _SIDE) for dtype in rates}
    for dtype in rates:
        for multiply in multiplying[dtype]:
            multiply()
    for _ in range(rounds):
        for call, taken in zip(calls, seconds, strict=True):
            taken.append(_cpu_seconds(call))
        for dtype, found in rates.items():
            found.append(_SIDE**3 / min(map(_cpu_seconds, multiplying[dtype])))
    return seconds, {dtype: statistics.median(found) for dtype, found in rates.items()}


def _cpu_seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def _print(
    ways: list[Way],
    peaks: list[int],
    seconds: list[list[float]],
    rates: dict[str, float],
    batch_size: int,
) -> None:
    with torch.device("meta"):
        images = torch.empty(1, 3, SIZE, SIZE)
        operations = {
            name: count(timm.create_model(name).eval(), images).operations["matmul"]
            for name in {way.network for way in ways}
        }
    for dtype, rate in rates.items():
        print(f"rate in {dtype}: {2 * rate / 1e9:.0f} GFLOP/s")
    print("ms an image: median, half of p10 to p90; times as fast as the first; part of the floor")
    baseline = np.array(seconds[0])
    for way, peak, taken in zip(ways, peaks, seconds, strict=True):
        image = 1000 * np.array(taken) / batch_size
        low, middle, high = np.percentile(image, (10, 50, 90))
        floor = 1000 * operations[way.network] / rates[way.dtype]
        faster = float(np.median(baseline / np.array(taken)))
        print(
            f"{way.name:46}{middle:7.1f} ±{(high - low) / 2:4.1f} {faster:6.2f}x "
            f"{floor / middle:5.2f} {peak / 2**20:6.0f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()

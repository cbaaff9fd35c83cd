"""MogaNet on a CPU: eager, fused, and in other runtimes, in one run on one thread.

    python benchmarks/cpu.py moganet_small --batch-size 4 --beside convnext_tiny
    python benchmarks/cpu.py moganet_tiny --batch-size 1

The baseline is the network as released: eager, NCHW, float32. Each way has a process of its
own, so that what one leaves of the allocator's memory changes no other. They take turns, round by
round, and each is timed by its CPU time, so that other processes on the machine count for little.
The floor is the network's multiplications at the machine's own rate, that of
`mogabench profile`: the better of a matrix product and a 1x1 convolution, timed in every round. The
peak of memory is that of a pass, above what a process's imports take; it leaves out what building,
fusing and compiling took for a while. At the end, where the time goes in OpenVINO.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import openvino
import timm
import torch
from torch import Tensor, nn

from mogabench.machine import device_name
from mogabench.measure.complexity import count
from mogabench.measure.device import CpuMeter
from mogabench.measure.rates import products
from mogabench.models import fuse
from mogabench.runtimes import FORMATS, RUNTIMES, export
from mogabench.runtimes.runtime import OpenVino

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

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
        contestants = [Contestant(way, Path(folder), chosen.batch_size) for way in ways]
        _print(ways, contestants, *_time(contestants, chosen.rounds), chosen.batch_size)
        for way in ways:
            if (way.network, way.runtime, way.fused) == (chosen.network, "openvino", True):
                _print_operators(way, Path(folder), chosen.batch_size)


class Contestant:
    """A process of its own that runs a network in one way, when it is its turn.

    Attributes:
        peak: Bytes that the process has in its second pass above those of its imports; Linux alone
            tells.
    """

    def __init__(self, way: Way, folder: Path, batch_size: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        context.Process(
            target=_compete, args=(theirs, way, folder, batch_size), daemon=True
        ).start()
        theirs.close()
        self.peak: int | None = self._pipe.recv()

    def take_turn(self) -> float:
        """CPU seconds of a pass."""
        self._pipe.send(None)
        seconds: float = self._pipe.recv()
        return seconds


@torch.inference_mode()
def _compete(pipe: Connection, way: Way, folder: Path, batch_size: int) -> None:
    torch.set_num_threads(1)
    if way.runtime != "torch":
        __import__(RUNTIMES[way.runtime].package)
    meter = CpuMeter()
    call = _call(way, folder, batch_size)
    call()
    meter.restart_peak()
    call()
    pipe.send(meter.peak_bytes())
    with suppress(EOFError):  # once the parent has ended
        while True:
            pipe.recv()
            pipe.send(_cpu_seconds(call))


def _ways(network: str) -> list[Way]:
    ways = [
        Way(network, "torch"),
        Way(network, "torch", channels_last=True),
        Way(network, "torch", fused=True, channels_last=True),
    ]
    for runtime, kind in RUNTIMES.items():
        if kind.device != "cpu":
            continue
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


def _time(contestants: list[Contestant], rounds: int) -> tuple[list[list[float]], dict[str, float]]:
    """CPU seconds of each one's turns, and the machine's multiply-accumulates a second."""
    seconds: list[list[float]] = [[] for _ in contestants]
    rates: dict[str, list[float]] = {dtype: [] for dtype in OpenVino.dtypes}
    multiplying = {dtype: products("cpu", dtype, _SIDE) for dtype in rates}
    for dtype in rates:
        for multiply in multiplying[dtype]:
            multiply()
    for _ in range(rounds):
        for contestant, taken in zip(contestants, seconds, strict=True):
            taken.append(contestant.take_turn())
        for dtype, found in rates.items():
            found.append(_SIDE**3 / min(map(_cpu_seconds, multiplying[dtype])))
    return seconds, {dtype: statistics.median(found) for dtype, found in rates.items()}


def _cpu_seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def _print(
    ways: list[Way],
    contestants: list[Contestant],
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
    for way, contestant, taken in zip(ways, contestants, seconds, strict=True):
        image = 1000 * np.array(taken) / batch_size
        low, middle, high = np.percentile(image, (10, 50, 90))
        floor = 1000 * operations[way.network] / rates[way.dtype]
        faster = float(np.median(baseline / np.array(taken)))
        peak = "—" if contestant.peak is None else f"{contestant.peak / 2**20:.0f}"
        print(
            f"{way.name:46}{middle:7.1f} ±{(high - low) / 2:4.1f} {faster:6.2f}x "
            f"{floor / middle:5.2f} {peak:>6} MiB",
            flush=True,
        )


def _print_operators(way: Way, folder: Path, batch_size: int) -> None:
    """OpenVINO's own times of operators, by their kind."""
    core = openvino.Core()
    core.set_property("CPU", {"PERF_COUNT": True})
    options = OpenVino.options(way.dtype, threads=1)
    compiled = core.compile_model(str(_file(way, folder)), "CPU", options)
    request = compiled.create_infer_request()
    images = np.random.default_rng(0).standard_normal((batch_size, 3, SIZE, SIZE), np.float32)
    for _ in range(3):
        request.infer([images])
    seconds: Counter[str] = Counter()
    for node in request.profiling_info:
        seconds[f"{node.node_type} {node.exec_type}"] += node.real_time.total_seconds()
    print(f"{way.name}, ms an image by kind of operator:")
    for kind, taken in seconds.most_common(6):
        print(f"  {kind:50}{1000 * taken / batch_size:7.2f}")


if __name__ == "__main__":
    main()

"""The timing loop, its statistics, and backing off, on networks made to show one thing each."""

import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from mogabench.errors import UserError
from mogabench.measure import throughput
from mogabench.measure.cores import CoreTimes
from mogabench.measure.device import CudaMeter
from mogabench.measure.settings import Settings
from mogabench.measure.steps import inference_step
from mogabench.runtimes.runtime import Runtime

QUICK = Settings(
    batch_size=2, warmup_seconds=0, min_iterations=5, min_seconds=0, max_seconds=0, threads=1
)
MIB = 2**20


@pytest.fixture(autouse=True)
def same_threads_afterwards():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def measure(build, inputs, settings, meter=None):
    return throughput.measure(inference_step(build, inputs, settings), settings, meter)


def pixels(batch_size):
    return (torch.randn(batch_size, 3, 8, 8),)


class Probe(nn.Module):
    """Calls a function of the input in each forward pass."""

    def __init__(self, look):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.look = look

    def forward(self, x):
        self.look(x)
        return self.conv(x)


def test_latency_is_the_time_a_pass_takes_and_throughput_follows_from_it():
    began = time.perf_counter()
    found = measure(lambda: Probe(lambda x: time.sleep(0.01)), pixels, QUICK)
    wall = time.perf_counter() - began
    assert found.latency_p50 >= 10
    assert (found.latency_p90, found.latency_p99, found.spread) == (None, None, None)
    assert found.median_error is None
    assert found.throughput == pytest.approx(2 / (found.latency_p50 / 1000))
    assert 5 * 0.01 <= found.seconds < wall
    assert (found.iterations, found.batch_size, found.compile_seconds) == (5, 2, None)


def test_reports_the_time_without_a_core(monkeypatch):
    """Ten seconds, of which the process computed for seven."""
    readings = iter([CoreTimes(100.0, 50.0, {}), CoreTimes(110.0, 57.0, {})])
    monkeypatch.setattr(throughput, "read_core_times", lambda: next(readings))
    assert measure(lambda: Probe(lambda x: None), pixels, QUICK).lacked_core == pytest.approx(30)


def test_goes_on_for_the_least_time_after_the_least_iterations():
    settings = replace(QUICK, min_iterations=3, min_seconds=0.2, max_seconds=0.2)
    found = measure(lambda: Probe(lambda x: time.sleep(0.01)), pixels, settings)
    assert 3 <= found.iterations <= 20
    assert found.seconds > 0.15


def test_warm_up_lasts_its_time_and_is_not_counted():
    passes = []
    network = Probe(lambda x: passes.append(time.perf_counter()))
    found = measure(lambda: network, pixels, replace(QUICK, warmup_seconds=0.1))
    assert found.iterations == 5
    assert passes[-5] - passes[0] >= 0.1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux restarts the peak")
def test_peak_memory_grows_by_what_a_pass_allocates():
    small = measure(lambda: Probe(lambda x: None), pixels, QUICK)
    large = measure(lambda: Probe(lambda x: torch.ones(200 * MIB // 4)), pixels, QUICK)
    assert large.peak_memory - small.peak_memory == pytest.approx(200 * MIB, rel=0.1)


class Device:
    """A pretended GPU with a clock of its own; the host may read marks only after waiting.

    The first pass takes no time, and each later one a millisecond more than the one before.
    """

    def __init__(self):
        self.log = []
        self.now = 0.0
        self.finished = -1.0

    def work(self, x):
        self.now += self.log.count("pass")
        self.log.append("pass")

    def wait(self):
        self.finished = self.now
        self.log.append("wait")

    def event(self):
        return Event(self)


class Event:
    def __init__(self, device):
        self.device = device

    def record(self):
        self.at = self.device.now
        self.device.log.append("mark")

    def elapsed_time(self, end):
        assert end.at <= self.device.finished, "read before the device had finished"
        return end.at - self.at


class PretendedGpuMeter(CudaMeter):
    def restart_peak(self):
        pass

    def peak_bytes(self):
        return 123


def test_gpu_is_timed_by_pairs_of_events_with_one_wait_after_the_last():
    device = Device()
    meter = PretendedGpuMeter(device.event, device.wait)
    settings = replace(QUICK, batch_size=4, min_iterations=100)
    found = measure(lambda: Probe(device.work), pixels, settings, meter)
    assert device.log == ["pass", "wait"] + ["mark", "pass", "mark"] * 100 + ["wait"]
    # Percentiles of 1 … 100 ms, interpolated linearly: p of 100 lies at 1 + 0.99 p. Of 100 samples
    # the 40th and the 61st enclose the median with 95 % confidence.
    assert found.latency_p50 == pytest.approx(50.5)
    assert found.latency_p90 == pytest.approx(90.1)
    assert found.latency_p99 is None
    assert found.median_error == pytest.approx(100 * (61 - 40) / 2 / 50.5)
    assert found.spread == pytest.approx(100 * (90.1 - 10.9) / 2 / 50.5)
    assert found.throughput == pytest.approx(4000 / 50.5)
    assert found.seconds == pytest.approx(5.05)
    assert found.peak_memory == 123


def test_goes_on_until_the_median_is_known_to_one_per_cent():
    device = Device()

    def work(x):
        """Passes of 50 and of 150 ms in turns, then of 100 ms."""
        passes = device.log.count("pass")
        device.now += 100 if passes > 50 else (50, 150)[passes % 2]
        device.log.append("pass")

    meter = PretendedGpuMeter(device.event, device.wait)
    found = measure(lambda: Probe(work), pixels, replace(QUICK, max_seconds=60), meter)
    # The interval is from the r-th smallest to the r-th largest, r = n / 2 - 0.98 √n; it leaves out
    # the 25 short and the 25 long passes from n = 67 on. It is looked at after every tenth more.
    assert 67 <= found.iterations < 67 * 1.1 + 1
    assert found.median_error == 0


def gpu_out_of_memory():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def cpu_out_of_memory():
    torch.empty(2**50)


class ExhaustedRuntime(Runtime):
    """ONNX Runtime without memory, in its own words."""

    def _open(self, file, dtype, threads):
        pass

    def _run(self, x):
        raise RuntimeError(
            "Error in execution: Non-zero status code returned while running Conv node. "
            "BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate "
            "memory for requested buffer of size 1073741824"
        )


def runtime_out_of_memory():
    ExhaustedRuntime(Path())(torch.zeros(8, 3, 8, 8))


@pytest.mark.slow
@pytest.mark.parametrize("exhaust", [gpu_out_of_memory, cpu_out_of_memory, runtime_out_of_memory])
def test_backs_off_by_halves_and_frees_the_network_in_between(exhaust):
    alive, tried = weakref.WeakSet(), []

    def look(x):
        tried.append(len(x))
        if len(x) > 2:
            exhaust()

    def build():
        assert not alive
        network = Probe(look)
        alive.add(network)
        return network

    found = measure(build, pixels, replace(QUICK, batch_size="auto"))
    assert found.batch_size == 2
    assert tried[:3] == [8, 4, 2] and set(tried[3:]) == {2}


@pytest.mark.slow
def test_says_so_when_memory_never_suffices():
    def build():
        return Probe(lambda x: cpu_out_of_memory())

    with pytest.raises(UserError, match=r"out of memory at batch size 1$"):
        measure(build, pixels, Settings(batch_size="auto"))
    with pytest.raises(UserError, match="out of memory at batch size 16; try --batch-size auto"):
        measure(build, pixels, Settings(batch_size=16))


def test_other_errors_are_not_mistaken_for_want_of_memory():
    with pytest.raises(RuntimeError, match="channels"):
        measure(lambda: nn.Conv2d(5, 1, 1), pixels, Settings(batch_size="auto"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_network_and_inputs_have_the_dtype_and_the_layout_asked_for(dtype, channels_last):
    seen = []

    def build():
        network = Probe(lambda x: seen.append((network, x, torch.is_inference_mode_enabled())))
        return network

    measure(build, pixels, replace(QUICK, dtype=dtype, channels_last=channels_last))
    network, x, inference = seen[-1]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert inference and not network.training
    assert x.dtype == network.conv.weight.dtype == getattr(torch, dtype)
    assert x.is_contiguous(memory_format=layout)


def test_seed_fixes_the_inputs():
    seen = []
    for seed in (1, 1, 2):
        measure(lambda: Probe(seen.append), pixels, replace(QUICK, seed=seed))
    passes = len(seen) // 3
    assert torch.equal(seen[0], seen[passes])
    assert not torch.equal(seen[0], seen[2 * passes])


@pytest.mark.slow
def test_compiled_network_is_compiled_once_before_the_clock_starts():
    traced, ran = [], []

    def look(x):
        (traced if torch.compiler.is_compiling() else ran).append(1)

    found = measure(lambda: Probe(look), pixels, replace(QUICK, compile=True))
    assert not ran
    assert found.compile_seconds > 10 * found.latency_p50 / 1000

"""How fast a device multiplies matrices and copies memory, beside which networks stand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch import nn

from mogabench.measure.device import CudaMeter
from mogabench.measure.settings import Rates

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_SIDES = (768, 1536, 3072, 6144)
_LONG_ENOUGH = 0.01
"""Seconds of a product that is large enough to reach the device's rate."""

_COPIED = 2**28
"""Bytes of a copy, which no cache holds."""

_FEWEST, _SECONDS = 3, 0.2
"""Each call is repeated so often, and for so long; the fastest one counts."""


@torch.inference_mode()
def choose_side(device: str, dtype: str) -> int:
    """The side of the smallest matrices whose product takes long enough to reach the rate."""
    for side in _SIDES:
        if min(_fastest(call, device) for call in products(device, dtype, side)) >= _LONG_ENOUGH:
            break
    return side


@torch.inference_mode()
def measure_rates(device: str, dtype: str, side: int) -> Rates:
    """Measures the device's rates, on as many threads as PyTorch has, in a second.

    The matrix rate is that of the better of the `products`. On a CPU each call is timed by its CPU
    time over the threads: what other processes take of the cores is no property of the machine.

    Args:
        device: ``cpu`` or ``cuda``.
        dtype: The type of the products, such as ``bfloat16``.
        side: Of the matrices; see `choose_side`.
    """
    seconds = min(_fastest(call, device) for call in products(device, dtype, side))
    source = torch.ones(_COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copied = _fastest(lambda: target.copy_(source), device)
    return Rates(matrix=2 * side**3 / seconds, copy=2 * _COPIED / copied)


def products(device: str, dtype: str, side: int) -> tuple[Callable[[], Tensor], ...]:
    """Ways to multiply two square matrices: PyTorch's product, and a 1x1 convolution.

    They are computed by different libraries, and which is faster depends on the processor.

    Args:
        device: ``cpu`` or ``cuda``.
        dtype: The type of factors and result.
        side: Rows of the matrices; a multiple of 32.
    """
    shape = {"dtype": getattr(torch, dtype), "device": device}
    one, other = (torch.randn(side, side, **shape) for _ in range(2))
    layout = torch.channels_last
    image = torch.randn(1, side, side // 32, 32, **shape).to(memory_format=layout)
    convolution = nn.Conv2d(side, side, 1, bias=False, **shape).to(memory_format=layout)
    return lambda: one @ other, lambda: convolution(image)


def _fastest(call: Callable[[], object], device: str) -> float:
    call()  # what is set up in the first call is no part of it
    time_call = _time_on_cpu if device == "cpu" else _time_on_gpu
    end = time.perf_counter() + _SECONDS
    found: list[float] = []
    while len(found) < _FEWEST or time.perf_counter() < end:
        found.append(time_call(call))
    return min(found)


def _time_on_cpu(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return (time.process_time() - began) / torch.get_num_threads()


def _time_on_gpu(call: Callable[[], object]) -> float:
    meter = CudaMeter()
    meter.time(call)
    return meter.laps()[0] / 1000

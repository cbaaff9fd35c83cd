"""MogaNet-S's depth-wise convolutions in bfloat16 and NHWC, by the kernels and by cuDNN.

Each is timed as a CUDA graph, without the time that a launch takes Python. The floor moves each
input and output once, at the copy rate measured in the run.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
from bench import Bench, open_bench
from torch import Tensor, nn

from mogabench.ops.depthwise import DepthwiseConv2d, depthwise, lie_by_taps

if TYPE_CHECKING:
    from collections.abc import Callable

# channels, size, kernel, dilation: the DW5x5 and both dilated ones of MogaNet-S, then its DW3x3.
LAYERS = [
    (64, 56, 5, 1),
    (24, 56, 5, 2),
    (32, 56, 7, 3),
    (320, 14, 5, 1),
    (160, 14, 7, 3),
    (512, 56, 3, 1),
    (1024, 28, 3, 1),
    (1280, 14, 3, 1),
    (512, 16, 5, 1),
    (4096, 16, 3, 1),
]


def main() -> bool:
    bench = open_bench()
    batch = 128 if bench.on_gpu else 1
    source = torch.empty(
        2**28 if bench.on_gpu else 2**20, dtype=torch.bfloat16, device=bench.device
    )
    target = torch.empty_like(source)
    rate = 4 * source.numel() / bench.milliseconds(lambda: target.copy_(source)) / 1e9
    bench.note("copy", tb_per_s=rate)
    for channels, size, kernel, dilation in LAYERS if bench.on_gpu else LAYERS[1:3]:
        name = f"{kernel}x{kernel} d{dilation} {channels}@{size}x{size}, batch {batch}"
        if bench.knows(name):
            continue
        layer = DepthwiseConv2d(channels, kernel, dilation).to(bench.device, bench.dtype)
        x = torch.randn(batch, channels, size, size, device=bench.device, dtype=bench.dtype)
        x = x.to(memory_format=torch.channels_last)
        with bench.attempt(name):
            times = {
                f"{way}_us": 1000 * bench.milliseconds(bench.captured(call), 0.1)
                for way, call in _convolutions(bench, layer, x).items()
            }
            bench.note(name, floor_us=4 * x.numel() / rate / 1e6, **times)
    return bool(bench.failed)


def _convolutions(bench: Bench, layer: nn.Conv2d, x: Tensor) -> dict[str, Callable[[], object]]:
    """The layer by PyTorch, and on a GPU by the kernels, whether or not they suit it."""
    weight, bias = (value.detach() for value in (layer.weight, layer.bias))
    options = (1, layer.padding, layer.dilation, layer.groups)
    calls: dict[str, Callable[[], object]] = {
        "cudnn": lambda: nn.functional.conv2d(x, weight, bias, *options)
    }
    if bench.on_gpu:
        lie_by_taps(layer)  # as in a fused network
        taps = layer.weight.detach()
        calls["kernel"] = lambda: depthwise(x, taps, bias, layer.dilation[0])
    return calls


if __name__ == "__main__":
    sys.exit(main())

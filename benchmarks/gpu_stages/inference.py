"""MogaNet-S in all its ways beside ConvNeXt-T: images per second in bfloat16.

    python benchmarks/gpu_stages/inference.py [--best] [moganet_small convnext_tiny …]

Plain by cuDNN and fused by the kernels, eager and compiled, each also in a CUDA graph, at batch 256
and 1; the fastest ways first. Beside each are the relative error of its logits against the plain
network's in float32, and the milliseconds of one pass by the GPU's kernels. ``--best`` takes only
the fastest way of each network, at batch 256.
"""

from __future__ import annotations

import sys
import time
from itertools import product
from typing import NamedTuple

import timm
import torch
from bench import Bench, open_bench, randomised
from torch import Tensor, nn

from mogabench.models import fuse

DEFAULT = ("convnext_tiny", "moganet_small")


class Way(NamedTuple):
    """How a network runs."""

    is_fused: bool
    """Else it is plain; what is fused runs by the kernels, and what is plain by cuDNN."""
    is_compiled: bool

    def __str__(self) -> str:
        form = "fused kernels" if self.is_fused else "plain cuDNN"
        return f"{form} {'compiled' if self.is_compiled else 'eager'}"


WAYS = (
    Way(is_fused=True, is_compiled=True),
    Way(is_fused=False, is_compiled=True),
    Way(is_fused=False, is_compiled=False),
    Way(is_fused=True, is_compiled=False),
)


def main() -> bool:
    bench = open_bench()
    torch.backends.cudnn.allow_tf32 = False  # what the ways are compared with is float32
    for way, model in product(WAYS, bench.models or DEFAULT):
        if way in _ways(bench, model):
            with bench.attempt(f"{model} {way}"):
                _time_way(bench, model, way)
    return bool(bench.failed)


def _ways(bench: Bench, model: str) -> list[Way]:
    ways = [way for way in WAYS if model.startswith("moganet") or not way.is_fused]
    return ways[:1] if bench.is_best else ways


def _time_way(bench: Bench, model: str, way: Way) -> None:
    name = f"{model} {way}"
    batches = (256, 1) if bench.on_gpu else (1,)
    batches = batches[:1] if bench.is_best else batches
    missing = [batch for batch in batches if not bench.knows(f"{name} graph", batch=batch)]
    if not missing:
        return
    torch.manual_seed(0)
    network = randomised(timm.create_model(model)).eval().to(bench.device)
    inputs = [bench.images(batch, bench.dtype) for batch in missing]
    bench.use_kernels(wanted=False)
    with torch.inference_mode():
        expected = [network(images.float()) for images in inputs]
    bench.use_kernels(way.is_fused)
    network = network.to(bench.dtype, memory_format=torch.channels_last)
    network = fuse(network) if way.is_fused else network
    if way.is_compiled:
        bench.compile_blocks(network)
    for images, logits in zip(inputs, expected, strict=True):
        _time_batch(bench, name, network, images, logits)


@torch.inference_mode()
def _time_batch(
    bench: Bench, name: str, network: nn.Module, images: Tensor, expected: Tensor
) -> None:
    """Times a batch by itself and in a CUDA graph, and compares the logits of both."""

    def call() -> Tensor:
        logits: Tensor = network(images)
        return logits

    def note(name: str, found: Tensor, took: float) -> None:
        error = float((found.float() - expected).norm() / expected.norm())
        speed = 1000 * len(images) / took
        figures = {"ms": took, "images_per_s": speed, "first_call_s": first}
        bench.note(name, batch=len(images), **figures, outputs_error=error)

    began = time.monotonic()
    found = call()
    first = time.monotonic() - began
    note(name, found, bench.milliseconds(call, 0.5))
    if len(images) > 1 or not bench.on_gpu:
        bench.note(f"{name} by kernel", **bench.kernel_times(call))
    replay = bench.captured(call)
    took = bench.milliseconds(replay, 0.5)
    note(f"{name} graph", replay(), took)


if __name__ == "__main__":
    sys.exit(main())

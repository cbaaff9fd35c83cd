"""MogaNet-S in all its ways beside ConvNeXt-T: images per second in bfloat16.

    python benchmarks/gpu_stages/inference.py [--best] [moganet_small convnext_tiny …]

Plain by cuDNN and fused by the kernels, eager and compiled, each also in a CUDA graph, at batch 256
and 1; the quick ones first. Where the time goes stands beside each: the milliseconds of
one pass by the GPU's kernels. ``--best`` takes only the last way of each network, at
batch 256.
"""

from __future__ import annotations

import time
from copy import deepcopy
from typing import NamedTuple

import timm
import torch
from bench import Bench, open_bench
from torch import nn

from mogabench.models import fuse

DEFAULT = ("moganet_small", "convnext_tiny")


class Way(NamedTuple):
    """How a network runs."""

    is_fused: bool
    """Else it is plain; what is fused runs by the kernels, and what is plain by cuDNN."""
    is_compiled: bool

    def __str__(self) -> str:
        form = "fused kernels" if self.is_fused else "plain cuDNN"
        return f"{form} {'compiled' if self.is_compiled else 'eager'}"


PLAIN = (Way(is_fused=False, is_compiled=False), Way(is_fused=False, is_compiled=True))
FUSED = (Way(is_fused=True, is_compiled=False), Way(is_fused=True, is_compiled=True))


def main() -> None:
    bench = open_bench()
    for model in bench.models or DEFAULT:
        network = timm.create_model(model).to(bench.device).eval()
        _let_blocks_count(network)
        ways = PLAIN + FUSED * model.startswith("moganet")
        for way in ways[-1:] if bench.is_best else ways:
            _time_way(bench, model, network, way)


def _let_blocks_count(network: nn.Module) -> None:
    """Undoes the scales of 1e-5 and less with which networks begin, so that a wrong block shows."""
    for name, value in network.named_parameters():
        if "layer_scale" in name or name.endswith("gamma"):
            nn.init.constant_(value, 0.1)


def _time_way(bench: Bench, model: str, original: nn.Module, way: Way) -> None:
    """Times a way, after its logits are compared with those in float32 by PyTorch's own layers."""
    images = bench.images(8, torch.float32)
    bench.use_kernels(wanted=False)
    with torch.inference_mode():
        expected = original(images)
    bench.use_kernels(way.is_fused)
    plain = deepcopy(original).to(bench.dtype, memory_format=torch.channels_last)
    network = fuse(plain) if way.is_fused else plain
    with torch.inference_mode():
        found = network(images.to(bench.dtype, memory_format=torch.channels_last)).float()
    error = float((found - expected).norm() / expected.norm())
    bench.note(f"{model} {way} against float32", outputs_error=error)
    if way.is_compiled:
        bench.compile_blocks(network)
    batches = (256, 1) if bench.on_gpu else (1,)
    for batch in batches[:1] if bench.is_best else batches:
        _time_batch(bench, f"{model} {way}", network, batch)


@torch.inference_mode()
def _time_batch(bench: Bench, name: str, network: nn.Module, batch: int) -> None:
    images = bench.images(batch, bench.dtype)
    began = time.monotonic()
    network(images)
    first = time.monotonic() - began
    _note(bench, name, batch, bench.milliseconds(lambda: network(images), 0.5), first)
    if batch > 1 or not bench.on_gpu:
        bench.note(f"{name} by kernel", **bench.kernel_times(lambda: network(images)))
    replay = bench.captured(lambda: network(images))
    _note(bench, f"{name} graph", batch, bench.milliseconds(replay, 0.5), first)


def _note(bench: Bench, name: str, batch: int, took: float, first: float) -> None:
    bench.note(name, batch=batch, ms=took, images_per_s=1000 * batch / took, first_call_s=first)


if __name__ == "__main__":
    main()

"""Depth-wise kernels and whole networks on a GPU, against PyTorch's own, in one run.

    python benchmarks/gpu_speed.py layers
    python benchmarks/gpu_speed.py training
    python benchmarks/gpu_speed.py inference

layers
    MogaNet-S's depth-wise convolutions in bfloat16 and channels_last, by the kernels and by cuDNN;
    the floor moves each input and output once, at the copy rate measured in the run.
training
    A step of MogaNet-S at batch 128 and of SimVP with MogaNet at batch 16, under autocast, eager
    and compiled, with and without the kernels.
inference
    MogaNet-S, plain and fused, and ConvNeXt-T in bfloat16, at batch 256 and 1, eager, compiled and
    in a CUDA graph.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import product
from typing import TYPE_CHECKING

import timm
import torch
import torch._dynamo
from torch import Tensor, nn

from mogabench.models import fuse
from mogabench.models.simvp import SimVP
from mogabench.ops import depthwise

if TYPE_CHECKING:
    from collections.abc import Callable

torch._dynamo.config.recompile_limit = 64  # a code for each stage and batch size
ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
SUITS = depthwise.suits_kernels
BLOCKS = ("MogaBlock", "FusedSpatialAggregation", "FusedChannelAggregation", "ConvNeXtBlock")
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="+", choices=("layers", "training", "inference"))
    for part in parser.parse_args().parts:
        {"layers": time_layers, "training": time_training, "inference": time_inference}[part]()


def milliseconds(call: Callable[[], object], seconds: float = 0.3) -> float:
    """The median time of a call, each between two events of the device."""
    for _ in range(3):
        call()
    times: list[float] = []
    began = time.monotonic()
    while len(times) < 5 or time.monotonic() - began < seconds:
        times.append(_time_once(call))
    return statistics.median(times)


def _time_once(call: Callable[[], object]) -> float:
    if not ON_GPU:
        began = time.monotonic()
        call()
        return 1000 * (time.monotonic() - began)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def use_kernels(wanted: bool) -> None:
    """Lets networks use the kernels, or keeps PyTorch's convolution."""
    depthwise.suits_kernels = SUITS if wanted else lambda x: False  # type: ignore[assignment]
    torch.compiler.reset()


def time_layers() -> None:
    batch = 128 if ON_GPU else 1
    source = torch.empty(2**28 if ON_GPU else 2**20, dtype=torch.bfloat16, device=DEVICE)
    target = torch.empty_like(source)
    rate = 4 * source.numel() / milliseconds(lambda: target.copy_(source)) / 1e9
    print(f"copy rate {rate:.2f} TB/s; microseconds, batch {batch}, bfloat16, NHWC")
    print("layer                  floor   cuDNN  kernel", flush=True)
    for channels, size, kernel, dilation in LAYERS:
        layer = depthwise.DepthwiseConv2d(channels, kernel, dilation).to(DEVICE, torch.bfloat16)
        x = torch.randn(batch, channels, size, size, device=DEVICE, dtype=torch.bfloat16)
        x = x.to(memory_format=torch.channels_last)
        figures = [4 * x.numel() / rate / 1e6]
        figures += [1000 * milliseconds(call, 0.1) for call in _convolutions(layer, x)]
        name = f"{kernel}x{kernel} d{dilation} {channels}@{size}x{size}"
        print(f"{name:20}" + "".join(f"{figure:8.0f}" for figure in figures), flush=True)


def _convolutions(layer: nn.Conv2d, x: Tensor) -> list[Callable[[], object]]:
    """The layer by PyTorch, and on a GPU by the kernels, whether or not they suit it."""
    weight, bias = (value.detach() for value in (layer.weight, layer.bias))
    options = (1, layer.padding, layer.dilation, layer.groups)
    calls: list[Callable[[], object]] = [lambda: nn.functional.conv2d(x, weight, bias, *options)]
    if ON_GPU:
        calls.append(lambda: depthwise.depthwise(x, weight, bias, layer.dilation[0]))
    return calls


def time_training() -> None:
    """Steps of MogaNet-S at batch 128 and of SimVP with MogaNet at batch 16, under autocast."""
    torch.manual_seed(0)
    images = torch.randn(128, 3, 224, 224) if ON_GPU else torch.randn(2, 3, 32, 32)
    images = images.to(DEVICE).to(memory_format=torch.channels_last)
    labels = torch.arange(len(images), device=DEVICE) % 10
    small = {} if ON_GPU else {"hidden_dim": 32, "encoder_dim": 8, "depth": 2}
    frames = torch.rand(16 if ON_GPU else 2, 10, 1, 64, 64, device=DEVICE)

    def moganet() -> nn.Module:
        return timm.create_model("moganet_small", num_classes=10)

    def simvp() -> nn.Module:
        return SimVP("moganet", **small)  # type: ignore[arg-type]

    def cross_entropy(out: Tensor) -> Tensor:
        return nn.functional.cross_entropy(out.float(), labels)

    def square_error(out: Tensor) -> Tensor:
        return (out.float() - frames).square().mean()

    for name, build, inputs, loss in (
        ("MogaNet-S", moganet, images, cross_entropy),
        ("SimVP", simvp, frames, square_error),
    ):
        for kernels, mode in product((False, True), ("eager", "compiled")):
            torch.manual_seed(0)
            _time_steps(name, build(), inputs, loss, kernels=kernels, mode=mode)


def _time_steps(
    name: str,
    network: nn.Module,
    inputs: Tensor,
    loss: Callable[[Tensor], Tensor],
    *,
    kernels: bool,
    mode: str,
) -> None:
    use_kernels(kernels)
    network = network.to(DEVICE, memory_format=torch.channels_last).train()
    if mode == "compiled" and name == "SimVP":
        network.compile(mode="reduce-overhead" if ON_GPU else "default")
    elif mode == "compiled":
        _compile_blocks(network)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    losses: list[Tensor] = []

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(DEVICE, torch.bfloat16):
            out = network(inputs)
        found = loss(out)
        found.backward()
        losses.append(found.detach().clone())
        optimizer.step()

    began = time.monotonic()
    step()
    step()
    started = time.monotonic() - began
    while len(losses) < 20:
        step()
    print(
        f"{name:10}{'kernels' if kernels else 'cuDNN':8}{mode:9}{milliseconds(step, 1.0):8.2f} ms, "
        f"first two {started:.0f} s, losses "
        + " ".join(f"{float(losses[at]):.5f}" for at in (0, 9, 19)),
        flush=True,
    )


def time_inference() -> None:
    """MogaNet-S in its ways, and ConvNeXt-T; the quick ones first."""
    moganet, convnext = (
        timm.create_model(name).to(DEVICE, torch.bfloat16, memory_format=torch.channels_last).eval()
        for name in ("moganet_small", "convnext_tiny")
    )
    for name, network, kernels, mode in (
        ("moganet_small plain", moganet, False, "eager"),
        ("moganet_small fused", fuse(moganet), True, "eager"),
        ("convnext_tiny", convnext, False, "eager"),
        ("moganet_small fused", fuse(moganet), True, "compiled"),
        ("convnext_tiny", convnext, False, "compiled"),
        ("moganet_small fused", fuse(moganet), False, "compiled"),
        ("moganet_small plain", moganet, False, "compiled"),
    ):
        use_kernels(kernels)
        if mode == "compiled":
            _compile_blocks(network)
        for batch in (256, 1) if ON_GPU else (2, 1):
            label = f"{name} {'kernels' if kernels else 'cuDNN'} {mode}"
            _time_inference(network, label, batch)


def _compile_blocks(network: nn.Module) -> None:
    """Compiles what repeats, block by block: a code for each stage, not for each block."""
    for part in network.modules():
        if type(part).__name__ in BLOCKS:
            part.compile(dynamic=False)


@torch.inference_mode()
def _time_inference(network: nn.Module, name: str, batch: int) -> None:
    size = 224 if ON_GPU else 64
    images = torch.randn(batch, 3, size, size, device=DEVICE, dtype=torch.bfloat16)
    images = images.to(memory_format=torch.channels_last)
    began = time.monotonic()
    network(images)
    started = time.monotonic() - began
    _print_speed(name, batch, milliseconds(lambda: network(images), 0.5), started)
    if ON_GPU:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            network(images)
        _print_speed(f"{name} graph", batch, milliseconds(graph.replay, 0.5), started)


def _print_speed(name: str, batch: int, took: float, started: float) -> None:
    speed = 1000 * batch / took
    print(
        f"{name:44} batch {batch:4} {took:8.3f} ms {speed:8.0f} img/s, first {started:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()

"""Depth-wise kernels and whole networks on a GPU, against PyTorch's own, in one run.

    python benchmarks/gpu_speed.py layers
    python benchmarks/gpu_speed.py training
    python benchmarks/gpu_speed.py inference

layers
    MogaNet-S's depth-wise convolutions in bfloat16 and channels_last, by the kernels and by cuDNN;
    the floor moves each input and output once, at the copy rate measured in the run.
training
    A step of SimVP with MogaNet at batch 16 and of MogaNet-S at batch 128, under autocast.
inference
    MogaNet-S and ConvNeXt-T in bfloat16, at batch 256 and 1.

Networks run eagerly, compiled, with the kernels, and in a CUDA graph.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

import timm
import torch
from torch import Tensor, nn

import mogabench.models  # noqa: F401  (registers MogaNet with timm)
from mogabench.models.simvp import SimVP
from mogabench.ops import depthwise

if TYPE_CHECKING:
    from collections.abc import Callable

ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
SUITS = depthwise.suits_kernels
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
    small = {} if ON_GPU else {"hidden_dim": 32, "encoder_dim": 8, "depth": 2}
    frames = torch.rand(16 if ON_GPU else 2, 10, 1, 64, 64, device=DEVICE)
    print("SimVP with MogaNet, a training step at batch 16", flush=True)
    for kernels, mode in (
        (False, "eager"),
        (True, "eager"),
        (True, "reduce-overhead"),
        (False, "reduce-overhead"),
    ):
        torch.manual_seed(0)
        network = SimVP("moganet", **small)  # type: ignore[arg-type]
        _time_steps(network, frames, kernels, mode, lambda out: (out.float() - frames).square())


def _time_steps(
    network: nn.Module,
    inputs: Tensor,
    kernels: bool,
    mode: str,
    loss: Callable[[Tensor], Tensor],
) -> None:
    use_kernels(kernels)
    network = network.to(DEVICE, memory_format=torch.channels_last).train()
    if mode != "eager":
        network.compile(mode=mode if ON_GPU else "default", backend="inductor")
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    losses: list[Tensor] = []

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(DEVICE, torch.bfloat16):
            out = network(inputs)
        losses.append(loss(out).mean())
        losses[-1].backward()
        losses[-1] = losses[-1].detach()
        optimizer.step()

    began = time.monotonic()
    step()
    step()
    started = time.monotonic() - began
    while len(losses) < 20:
        step()
    name = f"{'kernels' if kernels else 'cuDNN':8}{mode:16}"
    print(
        f"{name}{milliseconds(step, 1.0):8.2f} ms, first two {started:.0f} s, "
        f"losses {float(losses[0]):.5f} {float(losses[9]):.5f} {float(losses[19]):.5f}",
        flush=True,
    )


def time_inference() -> None:
    sizes = (256, 1) if ON_GPU else (2, 1)
    for name in ("moganet_small", "convnext_tiny"):
        network = timm.create_model(name).to(DEVICE, torch.bfloat16).eval()
        network.to(memory_format=torch.channels_last)
        for kernels in (False, True) if name == "moganet_small" else (False,):
            for mode in ("eager", "compiled"):
                use_kernels(kernels)
                if mode == "compiled":
                    _compile_blocks(network)
                for batch in sizes:
                    _time_inference(
                        network, f"{name} {'kernels' if kernels else 'cuDNN'} {mode}", batch
                    )
        for block in network.modules():
            block._compiled_call_impl = None


def _compile_blocks(network: nn.Module) -> None:
    """Compiles what repeats, block by block: a code for each stage, not for each block."""
    for part in network.modules():
        if type(part).__name__ in ("MogaBlock", "ConvNeXtBlock"):
            part.compile()


@torch.inference_mode()
def _time_inference(network: nn.Module, name: str, batch: int) -> None:
    size = 224 if ON_GPU else 64
    images = torch.randn(batch, 3, size, size, device=DEVICE, dtype=torch.bfloat16)
    images = images.to(memory_format=torch.channels_last)
    began = time.monotonic()
    plain = milliseconds(lambda: network(images), 1.0)
    print(
        f"{name:32} batch {batch:4} {plain:8.3f} ms {1000 * batch / plain:8.0f} img/s "
        f"({time.monotonic() - began:.0f} s)",
        flush=True,
    )
    if ON_GPU:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            network(images)
        took = milliseconds(graph.replay, 1.0)
        print(
            f"{name + ' graph':32} batch {batch:4} {took:8.3f} ms {1000 * batch / took:8.0f} img/s",
            flush=True,
        )


if __name__ == "__main__":
    main()

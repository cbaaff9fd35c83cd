"""Steps of training under bfloat16 autocast: forward, loss, backward and Adam.

    python benchmarks/gpu_stages/training.py [--best] [moganet_small convnext_tiny simvp …]

Classifiers at batch 128, SimVP with MogaNet at batch 16; eager and compiled, with and without the
kernels. The losses on one fixed batch show whether the ways train alike; where the time goes stands
beside each. ``--best`` takes eager and the last way alone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import timm
import torch
from bench import Bench, open_bench
from torch import Tensor, nn

import mogabench.models  # noqa: F401  (registers MogaNet with timm)
from mogabench.models.simvp import SimVP

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT = ("moganet_small", "convnext_tiny", "simvp")
WAYS = ((False, False), (True, False), (False, True), (True, True))
"""Whether the kernels are used, and whether the network is compiled."""


class Problem(NamedTuple):
    """A network, a batch and a loss."""

    network: nn.Module
    inputs: Tensor
    loss: Callable[[Tensor], Tensor]


def main() -> None:
    bench = open_bench()
    for model in bench.models or DEFAULT:
        make = _video if model == "simvp" else _classification
        has_kernels = model == "simvp" or model.startswith("moganet")
        ways = [way for way in WAYS if has_kernels or not way[0]]
        for kernels, compiled in (ways[0], ways[-1]) if bench.is_best else ways:
            bench.use_kernels(kernels)
            torch.manual_seed(0)
            name = f"{model} {'kernels' if kernels else 'cuDNN'}"
            _time_steps(bench, name, make(bench, model), is_compiled=compiled)


def _classification(bench: Bench, model: str) -> Problem:
    shape = (128, 3, 224, 224) if bench.on_gpu else (2, 3, 32, 32)
    images = torch.randn(shape, device=bench.device).to(memory_format=torch.channels_last)
    labels = torch.arange(len(images), device=bench.device) % 10
    return Problem(
        timm.create_model(model, num_classes=10),
        images,
        lambda logits: nn.functional.cross_entropy(logits.float(), labels),
    )


def _video(bench: Bench, model: str) -> Problem:
    small = {} if bench.on_gpu else {"hidden_dim": 32, "encoder_dim": 8, "depth": 2}
    frames = torch.rand(16 if bench.on_gpu else 1, 10, 1, 64, 64, device=bench.device)
    network = SimVP("moganet", **small)  # type: ignore[arg-type]
    return Problem(network, frames, lambda out: (out.float() - frames).square().mean())


def _time_steps(bench: Bench, name: str, problem: Problem, *, is_compiled: bool) -> None:
    network = problem.network.to(bench.device, memory_format=torch.channels_last).train()
    if is_compiled and isinstance(network, SimVP) and bench.on_gpu:
        network.compile(mode="reduce-overhead")
    elif is_compiled:
        bench.compile_blocks(network)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    losses: list[Tensor] = []

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(bench.device, bench.dtype, enabled=bench.on_gpu):
            out = network(problem.inputs)
        loss = problem.loss(out)
        loss.backward()
        losses.append(loss.detach().clone())
        optimizer.step()

    began = time.monotonic()
    step()
    step()
    first = time.monotonic() - began
    while len(losses) < (20 if bench.on_gpu else 3):
        step()
    shown = [round(float(losses[at]), 5) for at in (0, len(losses) // 2, len(losses) - 1)]
    took = bench.milliseconds(step, 1.0)
    name = f"{name} {'compiled' if is_compiled else 'eager'}"
    bench.note(
        name,
        batch=len(problem.inputs),
        ms=took,
        first_two_steps_s=first,
        losses=shown,
    )
    bench.note(f"{name} by kernel", **bench.kernel_times(step))


if __name__ == "__main__":
    main()

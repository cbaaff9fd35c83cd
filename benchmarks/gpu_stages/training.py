"""Steps of training under bfloat16 autocast: forward, loss, backward and Adam.

    python benchmarks/gpu_stages/training.py [--best] [moganet_small convnext_tiny simvp …]

Classifiers at batch 128, SimVP with MogaNet at batch 16; compiled by the kernels and by cuDNN, and
eager, where there are no kernels; a compiled step also as a CUDA graph. Losses over the same steps
on random batches show whether the ways train alike; where the time goes stands beside each.
``--best`` takes only the fastest way of each network, without the losses.
"""

from __future__ import annotations

import sys
import time
from itertools import cycle, islice
from typing import TYPE_CHECKING, NamedTuple

import timm
import torch
from bench import Bench, open_bench
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional

import mogabench.models  # noqa: F401  (registers MogaNet with timm)
from mogabench.engine.compiling import compile_for_training
from mogabench.models.simvp import SimVP

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT = ("moganet_small", "convnext_tiny", "simvp")
WAYS = ((True, True), (False, True), (False, False))
"""Whether the kernels are used, and whether the network is compiled."""
BATCHES = 4


class Problem(NamedTuple):
    """A network, batches and a loss of its outputs and inputs."""

    network: nn.Module
    batches: list[Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]


def main() -> bool:
    bench = open_bench()
    for model in bench.models or DEFAULT:
        has_kernels = model == "simvp" or model.startswith("moganet")
        ways = [way for way in WAYS if has_kernels or not way[0]]
        for kernels, compiled in ways[:1] if bench.is_best else ways:
            name = f"{model} {'kernels' if kernels else 'cuDNN'} "
            name += "compiled" if compiled else "eager"
            with bench.attempt(name):
                _time_way(bench, name, model, kernels, compiled)
    return bool(bench.failed)


def _time_way(bench: Bench, name: str, model: str, kernels: bool, compiled: bool) -> None:
    count = 200 if bench.on_gpu else 20
    is_captured = compiled and model != "simvp"
    last = f"{name} graph" * is_captured or name
    losses = f"{name} over {count} steps"
    if bench.knows(last if bench.is_best else losses):
        return
    bench.use_kernels(kernels)
    torch.manual_seed(0)
    problem = _video(bench) if model == "simvp" else _classification(bench, model)
    if compiled and model == "simvp" and bench.on_gpu:
        compile_for_training(problem.network, mode="reduce-overhead")  # as the engine does
    elif compiled:
        bench.compile_blocks(problem.network)
    steps = Steps(bench, problem)
    steps.time(name)
    if is_captured:
        steps.capture()
        steps.time(last)
    if not bench.is_best:
        bench.note(losses, losses=steps.losses(count))


def _classification(bench: Bench, model: str) -> Problem:
    shape = (128, 3, 224, 224) if bench.on_gpu else (2, 3, 32, 32)
    batches = [
        torch.randn(shape, device=bench.device).to(memory_format=torch.channels_last)
        for _ in range(BATCHES)
    ]
    labels = torch.arange(shape[0], device=bench.device) % 10
    network = timm.create_model(model, num_classes=10)
    return Problem(network, batches, lambda out, _: functional.cross_entropy(out.float(), labels))


def _video(bench: Bench) -> Problem:
    small = {} if bench.on_gpu else {"hidden_dim": 32, "encoder_dim": 8, "depth": 2}
    shape = (16 if bench.on_gpu else 1, 10, 1, 64, 64)
    batches = [torch.rand(shape, device=bench.device) for _ in range(BATCHES)]
    network = SimVP("moganet", **small)  # type: ignore[arg-type]
    for module in network.modules():
        if isinstance(module, DropPath):
            module.drop_prob = 0.0  # else a graph draws other blocks, and losses differ
    return Problem(network, batches, lambda out, frames: functional.mse_loss(out.float(), frames))


class Steps:
    """Steps of training on each batch in turn."""

    def __init__(self, bench: Bench, problem: Problem) -> None:
        network = problem.network.to(bench.device, memory_format=torch.channels_last).train()
        values = network.parameters()
        self.optimizer = torch.optim.Adam(values, 1e-4, fused=True, capturable=bench.on_gpu)
        self.bench, self.network, self.problem = bench, network, problem
        self.initial = [value.clone() for value in network.state_dict().values()]
        self.inputs = problem.batches[0].clone()
        self.loss = torch.zeros((), device=bench.device)
        self.call: Callable[[], object] = self._step

    def _step(self) -> None:
        self.optimizer.zero_grad()
        # A captured step cannot take weights from autocast's cache, which another step has filled.
        with torch.autocast(
            self.bench.device, self.bench.dtype, enabled=self.bench.on_gpu, cache_enabled=False
        ):
            out = self.network(self.inputs)
        loss = self.problem.loss(out, self.inputs)
        loss.backward()
        self.loss.copy_(loss.detach())
        self.optimizer.step()

    def time(self, name: str) -> None:
        """Notes how long a step takes, and its kernels."""
        began = time.monotonic()
        self.call()
        first = time.monotonic() - began
        took = self.bench.milliseconds(self.call, 1.0)
        self.bench.note(name, batch=len(self.inputs), ms=took, first_step_s=first)
        self.bench.note(f"{name} by kernel", **self.bench.kernel_times(self.call))

    def capture(self) -> None:
        """Makes a CUDA graph of the step."""
        self.call = self.bench.captured(self.call)

    def losses(self, count: int) -> list[float]:
        """Trains from the beginning again; the mean loss of each tenth of the steps."""
        self._begin_again()
        losses = [self._train(batch) for batch in islice(cycle(self.problem.batches), count)]
        tenth = count // 10
        return [round(sum(losses[at : at + tenth]) / tenth, 5) for at in range(0, count, tenth)]

    @torch.no_grad()
    def _begin_again(self) -> None:
        for value, first in zip(self.network.state_dict().values(), self.initial, strict=True):
            value.copy_(first)
        for state in self.optimizer.state.values():
            for value in state.values():
                value.zero_()

    def _train(self, batch: Tensor) -> float:
        self.inputs.copy_(batch)
        self.call()
        return float(self.loss)


if __name__ == "__main__":
    sys.exit(main())

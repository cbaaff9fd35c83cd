"""What the stages of `benchmarks/gpu.py` share: device, times of calls, and where figures go."""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
import torch._dynamo
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from mogabench.engine.compiling import compile_for_training
from mogabench.machine import device_name
from mogabench.ops import channels_last, depthwise
from mogabench.records import provenance
from mogabench.records.provenance import packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT = Path(__file__).parents[2]
_FILE = "gpu.jsonl"
_STAGE = Path(sys.argv[0]).stem
_MEASURED = ("benchmarks/gpu_stages", "mogabench/analysis/interaction", "mogabench/engine")
_MEASURED += ("mogabench/layers", "mogabench/models", "mogabench/ops")
"""Folders whose code decides the figures."""
T = TypeVar("T")
torch._dynamo.config.recompile_limit = 64  # a code for each stage and batch size
_LONGEST = 24
_NAME_LENGTH = 80
_FORMS = {depthwise: "suits_kernels", channels_last: "suits_product"}
"""What asks whether maps suit the project's forms of convolutions."""
_SUITS = {module: getattr(module, name) for module, name in _FORMS.items()}
_COMPILED = ("StemEmbed", "ConvEmbed", "MogaBlock", "FusedSpatialAggregation")
_COMPILED += ("FusedChannelAggregation", "ConvNeXtBlock", "LayerNorm2d")
"""Modules of MogaNet and ConvNeXt that take a network's time, and occur in it again and again."""


@dataclass(frozen=True)
class Bench:
    """A stage: where it runs and where its figures go.

    Attributes:
        device: ``cuda``; on ``cpu`` everything is small and shows only that it works.
        results: The folder whose ``gpu.jsonl`` has a line for each figure.
        models: Networks that were named, by timm's names.
        is_best: Whether only the fastest way is asked for.
        failed: The figures that could not be measured.
    """

    device: str
    results: Path
    models: tuple[str, ...]
    is_best: bool
    failed: list[str] = field(default_factory=list)

    @property
    def on_gpu(self) -> bool:
        """Whether figures mean something."""
        return self.device == "cuda"

    @property
    def dtype(self) -> torch.dtype:
        """What networks run in: in bfloat16, depth-wise convolutions take a CPU seconds."""
        return torch.bfloat16 if self.on_gpu else torch.float32

    def images(self, count: int, dtype: torch.dtype) -> Tensor:
        """Random images ``(N, 3, H, W)`` in channels_last layout."""
        size = 224 if self.on_gpu else 32
        images = torch.randn(count, 3, size, size, device=self.device, dtype=dtype)
        return images.to(memory_format=torch.channels_last)

    def milliseconds(self, call: Callable[[], object], seconds: float = 0.3) -> float:
        """The median time of a call, each between two events of the device."""
        for _ in range(3 if self.on_gpu else 1):
            call()
        times: list[float] = []
        began = time.monotonic()
        while len(times) < (5 if self.on_gpu else 1) or (
            self.on_gpu and time.monotonic() - began < seconds
        ):
            times.append(self._time_once(call))
        return statistics.median(times)

    def _time_once(self, call: Callable[[], object]) -> float:
        if not self.on_gpu:
            began = time.monotonic()
            call()
            return 1000 * (time.monotonic() - began)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)

    def captured(self, call: Callable[[], T]) -> Callable[[], T]:
        """A call as a CUDA graph, which takes the GPU's time alone; on a CPU the call itself.

        What it returns is overwritten each time.
        """
        if not self.on_gpu:
            return call
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            call()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = call()

        def replay() -> T:
            graph.replay()
            return out

        return replay

    def kernel_times(self, call: Callable[[], object]) -> dict[str, float]:
        """Milliseconds of a call by the device's kernels, those of one name together.

        Returns:
            The longest first, by the beginnings of their names; on a CPU by operators.
        """
        activity = ProfilerActivity.CUDA if self.on_gpu else ProfilerActivity.CPU
        with profile(activities=[activity]) as profiler:
            call()
            if self.on_gpu:
                torch.cuda.synchronize()
        times: Counter[str] = Counter()
        for event in profiler.key_averages():
            took = event.self_device_time_total if self.on_gpu else event.self_cpu_time_total
            times[event.key[:_NAME_LENGTH]] += took / 1000
        return {name: round(took, 4) for name, took in times.most_common(_LONGEST)}

    def use_kernels(self, wanted: bool) -> None:
        """Lets networks use the project's forms of convolutions, or keeps PyTorch's own."""
        for module, name in _FORMS.items():
            setattr(module, name, _SUITS[module] if wanted else lambda x: False)
        torch.compiler.reset()

    def compile_blocks(self, network: nn.Module) -> None:
        """Compiles block by block what repeats: a code for each stage, not for each block."""
        backend = "inductor" if self.on_gpu else "eager"
        for part in network.modules():
            if type(part).__name__ in _COMPILED:
                compile_for_training(part, dynamic=False, backend=backend)

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """What fails here costs no other figure; ``main`` returns whether something did."""
        try:
            yield
        except Exception:  # a kernel, a compiler or the memory
            traceback.print_exc()
            self.failed.append(name)

    def note(self, name: str, **figures: object) -> None:
        """Prints figures and writes them at once, so that a cut costs none that exists."""
        texts = (f"{k} {v:.5g}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items())
        print(f"  {_STAGE}: {name}: {', '.join(texts)}", flush=True)
        origin = provenance(device=device_name(self.device))
        commit = {"commit": origin.commit, "dirty": origin.dirty}
        line = {"stage": _STAGE, "name": name, **figures, **self._conditions, **commit}
        self.results.mkdir(parents=True, exist_ok=True)
        with (self.results / _FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def knows(self, name: str, **figures: object) -> bool:
        """Whether there is a line of the same under the same conditions; if so, says it."""
        wanted = {"stage": _STAGE, "name": name, **figures, **self._conditions}
        is_known = any(wanted.items() <= line.items() for line in self._lines)
        if is_known:
            print(f"  {_STAGE}: {name}: known", flush=True)
        return is_known

    @cached_property
    def _lines(self) -> list[dict[str, object]]:
        """What the project's results and those of this bench held when it was first asked for."""
        files = [folder / _FILE for folder in (PROJECT / "results", self.results)]
        texts = [file.read_text(encoding="utf-8") for file in files if file.exists()]
        return [json.loads(line) for text in texts for line in text.splitlines()]

    @cached_property
    def _conditions(self) -> dict[str, str]:
        """Where figures are measured, and a digest of the code that they are of."""
        sources = [file for name in _MEASURED for file in sorted((PROJECT / name).rglob("*.py"))]
        code = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()[:12]
        versions = {name: packages()[name] for name in ("torch", "timm")}
        return {"device": device_name(self.device), **versions, "code": code}


def randomised(network: nn.Module) -> nn.Module:
    """Gives weights values that matter: the initial ones hide a wrong block and a wrong fold."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, std=0.1)
    for name, value in network.named_parameters():
        if "scale" in name or name.endswith("gamma"):
            nn.init.normal_(value, std=0.3)
        elif value.ndim == 4:
            nn.init.normal_(value, std=value[0].numel() ** -0.5)
    return network


def open_bench() -> Bench:
    """Reads the command line, which all stages share, and lets cuDNN choose its fastest kernels."""
    torch.backends.cudnn.benchmark = True
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--results", type=Path, default=Path("gpu-results"))
    parser.add_argument("--best", action="store_true", help="only the fastest way")
    chosen = parser.parse_args()
    return Bench(chosen.device, chosen.results, tuple(chosen.models), chosen.best)

"""Masked images per second in the interaction analysis, beside one forward pass for each subset.

    python benchmarks/interaction.py [moganet_xtiny] [--size 224] [--threads 2]

The baseline hides the patches of one image at a time and runs the network as PyTorch builds it.
The analysis makes batches on the device and runs the fused network, in PyTorch or OpenVINO, in
float32 or bfloat16. All score the same sets; they take turns, and are timed by the clock and by the
CPU time of the process.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

import timm
import torch
from torch import Tensor, nn

from mogabench.analysis.interaction.patches import PatchGame, log_odds
from mogabench.machine import device_name
from mogabench.models import fuse
from mogabench.runtimes import in_runtime

if TYPE_CHECKING:
    from mogabench.analysis.interaction.game import Score

GRID = 14


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("network", nargs="?", default="moganet_xtiny")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sets", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    network = timm.create_model(chosen.network).eval()
    image = torch.randn(3, chosen.size, chosen.size)
    sets = torch.rand(chosen.sets, GRID * GRID) < 0.5
    ways: dict[str, Score] = {
        "one by one": lambda sets: torch.cat([_score(network, image, one) for one in sets])
    }
    for dtype in ("float32", "bfloat16"):
        precision = getattr(torch, dtype)
        fast = fuse(network).to(precision).to(memory_format=torch.channels_last)
        ways[f"torch {dtype}"] = PatchGame(fast, image.to(precision), 0, grid=GRID, batch_size=64)
        compiled = in_runtime(network, image[None], "openvino", dtype=dtype)
        ways[f"openvino {dtype}"] = PatchGame(compiled, image, 0, grid=GRID, batch_size=64)
    expected, *found = (way(sets) for way in ways.values())
    print(f"{device_name('cpu')}, {chosen.threads} threads, {chosen.network}, {chosen.size}")
    for name, scores in zip(list(ways)[1:], found, strict=True):
        print(f"{name}: scores differ by at most {float((scores - expected).abs().max()):.1e}")
    clocks = {"by the clock": time.perf_counter, "by CPU time": time.process_time}
    taken: dict[str, list[list[float]]] = {name: [] for name in ways}
    for _ in range(chosen.rounds):
        for name, way in ways.items():
            began = [clock() for clock in clocks.values()]
            way(sets)
            ends = [clock() for clock in clocks.values()]
            taken[name].append([end - start for start, end in zip(began, ends, strict=True)])
    for number, clock in enumerate(clocks):
        first = [lap[number] for lap in taken["one by one"]]
        for name, laps in taken.items():
            seconds = [lap[number] for lap in laps]
            ratio = statistics.median(a / b for a, b in zip(first, seconds, strict=True))
            rate = chosen.sets / statistics.median(seconds)
            print(f"{clock}, {name}: {rate:.1f} images/s, {ratio:.2f} times")


@torch.inference_mode()
def _score(network: nn.Module, image: Tensor, seen: Tensor) -> Tensor:
    mask = seen.float().view(1, 1, GRID, GRID)
    masked = image * nn.functional.interpolate(mask, size=image.shape[1:], mode="nearest")
    return log_odds(network(masked), 0)


if __name__ == "__main__":
    main()

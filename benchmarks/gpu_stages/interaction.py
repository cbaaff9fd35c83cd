"""Masked images per second of the interaction analysis, for the networks of Figure 3.

    python benchmarks/gpu_stages/interaction.py [moganet_small convnext_tiny …]

The networks are not trained: a score takes as long whatever it is. The paper's protocol is 130 000
images for each of its pictures, so the rate says how long one figure takes.
"""

from __future__ import annotations

import sys
from functools import partial

import timm
import torch
from bench import open_bench

from mogabench.analysis.interaction.patches import PatchGame
from mogabench.models import fuse

DEFAULT = ("moganet_small", "convnext_tiny", "deit_small_patch16_224")
GRID = 14


def main() -> bool:
    bench = open_bench()
    count = 1024 if bench.on_gpu else 2
    bench.use_kernels(wanted=True)
    for model in bench.models or DEFAULT:
        if bench.knows(model):
            continue
        with bench.attempt(model):
            network = timm.create_model(model).eval().to(memory_format=torch.channels_last)
            network = fuse(network).to(bench.device)  # which lays the filters for the kernels
            image = torch.randn(3, 224, 224, device=bench.device)
            game = PatchGame(network, image, 0, grid=GRID, batch_size=256)
            sets = torch.rand(count, GRID * GRID) < 0.5
            took = bench.milliseconds(partial(game, sets))
            bench.note(model, ms=took, images_per_s=1000 * count / took)
    return bool(bench.failed)


if __name__ == "__main__":
    sys.exit(main())

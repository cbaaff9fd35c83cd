"""Times a training step of SimVP on Moving MNIST against what the device could do at best.

    python benchmarks/video_training.py [--translator moganet] [--batch-size 16] [--no-compile]

A step is timed twice in one run. Bare: forward, loss, backward and Adam on frames that stay on the
device. Whole: what `mogabench run video --train --amp bfloat16 --channels-last --compile` does,
with data from its workers and all hooks of the engine; the ratio is what the engine costs. Without
a GPU, `--device cpu --warmup 1 --steps 3 --batch-size 2` shows that the benchmark works. Two floors
stand beside a GPU's figures:

operations
    A forward pass of MogaNet takes 16.5 G multiply-accumulates for a sequence, 33 GFLOP; backward
    takes twice that, for the gradients of inputs and of weights: 99 GFLOP in all, 1.6 TFLOP for a
    batch of 16. At 989 TFLOP/s, an H200's dense bfloat16, that is 1.6 ms. Depth-wise convolutions
    and norms are few of the operations but cannot use the matrix units, so they add to it.
memory
    Every tensor that a convolution or a product writes (36 M elements a sequence for MogaNet) is
    at least written and read going forward, read again going backward, and its gradient written
    and read: 5 x 2 bytes for each element, 5.7 GB for 16 sequences. Adam reads and writes weight
    and both moments and reads the gradient in float32: 28 bytes for each of 46.8 M parameters,
    1.3 GB. At 4.8 TB/s both take 1.5 ms. Unfused norms, activations and scales come on top: they
    are the reason to compile.

The two overlap at best, so the floor is the larger. The project asks for 15 % of the peak in
bfloat16, 10.7 ms a step: 200 epochs of 625 steps are then 22 minutes.

Measured on an H200 on 2026-11-26 (torch 2.11, batch 16, bare, compiled without CUDA graphs): 50 ms
a step, 18 ms of them in kernels. The step waits for the launch of its kernels, of which there are
over a thousand: CUDA graphs, which it has now, are what it lacked. Eager it takes 63 ms, 33 ms of
them in kernels.

The data is measured as well: sequences that one worker process makes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from torch import nn

from mogabench.data.identity import SAMPLE
from mogabench.engine.compiling import compile_for_training
from mogabench.engine.environment import enter
from mogabench.engine.make_job import make_job
from mogabench.engine.randomness import seed_everything
from mogabench.engine.runner import make_runner
from mogabench.measure.complexity import count
from mogabench.models.simvp import SimVP
from mogabench.subject import Subject
from mogabench.tasks import get_task
from mogabench.tasks.video.data import FreshScenes, Renderer

PEAKS = {"H200": (989e12, 4.8e12), "H100": (989e12, 3.35e12), "A100": (312e12, 2.0e12)}
"""FLOP/s in dense bfloat16, and bytes/s, by what the device's name holds."""

IMAGES = 60_000


def main() -> None:
    chosen = _arguments()
    if chosen.device != "cpu" and not torch.cuda.is_available():
        sys.exit("there is no GPU; --device cpu shows that the benchmark works")
    enter(chosen.device)
    print(f"data: {_sequences_per_second(chosen.batch_size):.0f} sequences/s from one worker")
    bare, whole = _bare_steps(chosen), _whole_steps(chosen)
    for name, seconds in (("bare", bare), ("whole", whole)):
        low, middle, high = np.percentile(seconds, (10, 50, 90))
        print(
            f"{name}: {1e3 * middle:.2f} ms a step ({1e3 * low:.2f} to {1e3 * high:.2f} from the "
            f"10th to the 90th percentile), {chosen.batch_size / middle:.1f} sequences/s"
        )
    step = float(np.median(whole))
    print(f"whole / bare: {step / np.median(bare):.3f}")
    flop, moved = _floor(chosen.translator, chosen.batch_size)
    print(f"{chosen.translator}, batch {chosen.batch_size}: {flop / step / 1e12:.3f} TFLOP/s")
    device = torch.cuda.get_device_name() if chosen.device != "cpu" else ""
    for name, (peak, bandwidth) in PEAKS.items():
        if name in device:
            print(
                f"floor: {1e3 * flop / peak:.2f} ms by operations, {1e3 * moved / bandwidth:.2f} "
                f"ms by memory; {flop / peak / step:.1%} of the peak of {device} in bfloat16"
            )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--translator", default="moganet")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--warmup", type=int, default=20)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--no-compile", action="store_true")
    return parser.parse_args()


def _sequences_per_second(batch_size: int) -> float:
    images = np.random.default_rng(0).integers(256, size=(IMAGES, 28, 28), dtype=np.uint8)
    scenes, collate = FreshScenes(len(images), 10_000), Renderer(images, 20, 64)
    rounds = 100
    began = time.perf_counter()
    for _ in range(rounds):
        collate([scenes[index] for index in range(batch_size)])
    return rounds * batch_size / (time.perf_counter() - began)


def _floor(translator: str, batch_size: int) -> tuple[float, float]:
    """Floating-point operations and bytes that a step cannot do without."""
    with torch.device("meta"):
        counted = count(SimVP(translator).eval(), torch.empty(1, 10, 1, 64, 64))
    flop = 3 * 2 * counted.operations["matmul"] * batch_size
    return flop, 5 * 2 * counted.activations * batch_size + 28 * counted.parameters


class Laps(Hook):
    """Marks the end of each step, by events on a GPU, so that no step waits for another."""

    def __init__(self, device: str) -> None:
        self.on_gpu = device != "cpu"
        self.marks: list[Any] = []

    def after_train_iter(self, *_: Any, **__: Any) -> None:
        """Marks the end of a step."""
        mark: Any = time.perf_counter()
        if self.on_gpu:
            mark = torch.cuda.Event(enable_timing=True)
            mark.record()
        self.marks.append(mark)

    def seconds(self, warmup: int) -> list[float]:
        """Of each step after the warm-up."""
        pairs = list(pairwise(self.marks))[warmup:]
        if not self.on_gpu:
            return [end - start for start, end in pairs]
        torch.cuda.synchronize()
        return [start.elapsed_time(end) / 1e3 for start, end in pairs]


def _bare_steps(chosen: argparse.Namespace) -> list[float]:
    torch.backends.cudnn.benchmark = True
    network = SimVP(chosen.translator).to(chosen.device, memory_format=torch.channels_last).train()
    if not chosen.no_compile:
        on_gpu = chosen.device != "cpu"
        compile_for_training(network, mode="reduce-overhead" if on_gpu else None)  # as the engine
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    seen, future = torch.rand(2, chosen.batch_size, 10, 1, 64, 64, device=chosen.device)
    laps = Laps(chosen.device)
    for _ in range(chosen.warmup + chosen.steps + 1):
        with torch.autocast(chosen.device, torch.bfloat16):
            predicted = network(seen)
        nn.functional.mse_loss(predicted.float(), future).backward()
        optimizer.step()
        optimizer.zero_grad()
        laps.after_train_iter()
    return laps.seconds(chosen.warmup)


def _whole_steps(chosen: argparse.Namespace) -> list[float]:
    steps = chosen.warmup + chosen.steps + 1
    task = get_task("video")
    size = task.default_sizes["simvp"]
    with tempfile.TemporaryDirectory() as folder:
        job = make_job(
            task,
            Subject(task="video", method="simvp", backbone=chosen.translator, input_size=size),
            data=SAMPLE,
            size_is_given=False,
            recipe="mmnist_200e",
            overrides=[
                "schedule.epochs=1",
                f"batch_size={chosen.batch_size}",
                f"sequences={steps * chosen.batch_size}",
            ],
            weights=None,
            train=True,
            work_dir=Path(folder),
            device=chosen.device,
            amp="bfloat16",
            channels_last=True,
            compile=not chosen.no_compile,
            workers=2,
            quiet=True,
        )
        seed_everything(job.seed)
        runner, laps = make_runner(job, task.prepare(job)), Laps(chosen.device)
        runner.register_hook(laps, "LOWEST")
        runner.train()
    return laps.seconds(chosen.warmup)


if __name__ == "__main__":
    main()

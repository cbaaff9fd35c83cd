"""Times a training step of SimVP on Moving MNIST against what the device could do at best.

    python benchmarks/video_training.py [--translator moganet] [--batch-size 16] [--no-compile]

It needs a GPU. A step is what `mogabench run video --train --amp bfloat16 --channels-last
--compile` does: frames to the device, forward, loss, backward, Adam. Two floors stand beside it:

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

The other half of a step, the data, is measured as well: sequences that one worker process makes.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch
from torch import nn

from mogabench.measure.complexity import count
from mogabench.models.simvp import SimVP
from mogabench.video.data import FreshScenes, Renderer

PEAKS = {"H200": (989e12, 4.8e12), "H100": (989e12, 3.35e12), "A100": (312e12, 2.0e12)}
"""FLOP/s in dense bfloat16, and bytes/s, by what the device's name holds."""

WARMUP_STEPS, STEPS = 20, 100
IMAGES = 60_000


def main() -> None:
    arguments = _arguments()
    print(f"data: {_sequences_per_second(arguments.batch_size):.0f} sequences/s from one worker")
    if not torch.cuda.is_available():
        sys.exit("there is no GPU: a training step is not measured")
    seconds = _step_seconds(
        arguments.translator, arguments.batch_size, compiled=not arguments.no_compile
    )
    flop, moved = _floor(arguments.translator, arguments.batch_size)
    print(
        f"{arguments.translator}, batch {arguments.batch_size}, {torch.cuda.get_device_name()}: "
        f"{1e3 * seconds:.2f} ms a step, {arguments.batch_size / seconds:.0f} sequences/s, "
        f"{flop / seconds / 1e12:.0f} TFLOP/s"
    )
    for name, (peak, bandwidth) in PEAKS.items():
        if name in torch.cuda.get_device_name():
            print(
                f"floor: {1e3 * flop / peak:.2f} ms by operations, {1e3 * moved / bandwidth:.2f} "
                f"ms by memory; {flop / peak / seconds:.1%} of the peak in bfloat16"
            )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--translator", default="moganet")
    parser.add_argument("--batch-size", type=int, default=16)
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


def _step_seconds(translator: str, batch_size: int, *, compiled: bool) -> float:
    """The median time of a step, in seconds."""
    torch.backends.cudnn.benchmark = True
    network = SimVP(translator).cuda().to(memory_format=torch.channels_last).train()
    if compiled:
        network.compile()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    frames = torch.randint(256, (batch_size, 20, 1, 64, 64), dtype=torch.uint8).pin_memory()
    laps = []
    for _ in range(WARMUP_STEPS + STEPS):
        torch.cuda.synchronize()
        began = time.perf_counter()
        seen, future = (frames.cuda(non_blocking=True).float() / 255).chunk(2, dim=1)
        with torch.autocast("cuda", torch.bfloat16):
            predicted = network(seen)
        nn.functional.mse_loss(predicted.float(), future).backward()
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        laps.append(time.perf_counter() - began)
    return float(np.median(laps[WARMUP_STEPS:]))


if __name__ == "__main__":
    main()

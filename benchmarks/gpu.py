"""Measures on a GPU, within a given time, what the tables and figures have no record of.

    python benchmarks/gpu.py --budget 8m --data MNIST_DIR --results results
    python benchmarks/gpu.py --budget 2m --device cpu

A GPU is lent for minutes, so the stages come in order of worth, each with its share of the time.
A stage is one or more commands; each record is written the moment it exists, and a stage that
fails or runs out of time costs no other. The second form runs every stage in miniature on the
CPU: a wrong option then shows before it costs time on a GPU.

operators
    The tests of RoIAlign, NMS, focal loss and deformable convolution, on the GPU.
precision
    MogaNet-T's outputs and gradients on the GPU, in float32 and under both kinds of autocast,
    against float32 on the CPU.
images
    Throughput of Figure A3's networks: bfloat16, then float32.
sequences
    Throughput of Table A14's translators.
training
    SimVP with MogaNet on Moving MNIST, as many epochs as the time allows.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import timm
import torch

import mogabench.models  # noqa: F401  (registers MogaNet with timm)
from mogabench.data.identity import SAMPLE

PROJECT = Path(__file__).parents[1]
MOGABENCH = (str(Path(sys.executable).with_name("mogabench")),)
END_SECONDS = 20
"""That a command may take longer than it was told to."""
TIMING = ("--min-iterations", "10", "--min-seconds", "1", "--max-seconds", "5")
TIMING += ("--warmup-seconds", "0.5")


@dataclass(frozen=True)
class Stage:
    """Commands with a share of the time; the last stage has what is left."""

    name: str
    share: float
    commands: tuple[tuple[str, ...], ...]


def main() -> None:
    chosen = _arguments()
    if chosen.precision:
        _compare_precisions(chosen.device)
        return
    began = time.monotonic()
    for stage in _stages(chosen):
        end = min(began + chosen.budget, time.monotonic() + stage.share * chosen.budget)
        for command in stage.commands:
            left = end - time.monotonic()
            if left < 1:
                print(f"{stage.name}: no time left for {' '.join(command[1:])}", flush=True)
                continue
            _run(
                stage.name,
                [part.format(seconds=max(int(left) - END_SECONDS, 1)) for part in command],
                left,
            )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", type=_seconds, default=480, help="such as 8m or 90s")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--data", help="MNIST's folder; default: the sample")
    parser.add_argument("--results", default="gpu-results")
    parser.add_argument("--stages", nargs="+", help="default: all")
    parser.add_argument("--work-dir", default="work/gpu")
    parser.add_argument("--precision", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no GPU; --device cpu runs every stage in miniature")
    return chosen


def _seconds(text: str) -> float:
    return float(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


def _stages(chosen: argparse.Namespace) -> list[Stage]:
    on_gpu = chosen.device == "cuda"
    profile = (*MOGABENCH, "profile", "--channels-last", "--results", chosen.results, *TIMING)
    if on_gpu:
        images = [(*profile, "--gpu", "--dtype", dtype) for dtype in ("bfloat16", "float32")]
        sequences = [(*profile, "--gpu", "--task", "video")]
        small = ()
    else:
        images = [(*profile, "xt", "--size", "64", "--batch-size", "1")]
        sequences = [(*profile, "convmixer", "--task", "video", "--batch-size", "1")]
        small = ("--set", "sequences=64", "--set", "batch_size=4", "--set", "model.depth=2")
        small += ("--set", "model.hidden_dim=32", "--set", "model.encoder_dim=8")
    training = (
        *(*MOGABENCH, "run", "video", "--translator", "moganet", "--train"),
        *("--recipe", "mmnist_200e", "--data", chosen.data or SAMPLE, "--device", chosen.device),
        *("--amp", "bfloat16", "--channels-last", "--workers", "8" if on_gpu else "1", "--quiet"),
        *(["--compile"] if on_gpu else []),
        *("--work-dir", chosen.work_dir, "--results", chosen.results),
        *("--time-budget", "{seconds}s", *small),
    )
    tests = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{PROJECT}/tests/ops")
    precision = (sys.executable, __file__, "--precision", "--device", chosen.device)
    stages = [
        Stage("operators", 0.1, (tests,)),
        Stage("precision", 0.1, (precision,)),
        Stage("images", 0.3, tuple(images)),
        Stage("sequences", 0.2, tuple(sequences)),
        Stage("training", 1.0, (training,)),
    ]
    return [stage for stage in stages if not chosen.stages or stage.name in chosen.stages]


def _run(stage: str, command: list[str], seconds: float) -> None:
    began = time.monotonic()
    print(f"{stage}: {' '.join(command[1:])}", flush=True)
    try:
        status = str(subprocess.run(command, timeout=seconds + END_SECONDS, check=False).returncode)
    except subprocess.TimeoutExpired:
        status = "out of time"
    print(f"{stage}: {status} after {time.monotonic() - began:.0f} s", flush=True)


def _compare_precisions(device: str) -> None:
    """Prints the relative errors of outputs and gradients, against float32 on the CPU."""
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    network = timm.create_model("moganet_tiny", num_classes=10).train()
    images, labels = torch.randn(8, 3, 128, 128), torch.arange(8)
    expected = _outputs_and_gradient(network, images, labels, None)
    network, images, labels = network.to(device), images.to(device), labels.to(device)
    # Half precision's backward pass takes a CPU minutes.
    for dtype in (None, torch.bfloat16, *([torch.float16] if device == "cuda" else [])):
        found = _outputs_and_gradient(network, images, labels, dtype)
        errors = [
            float((one.cpu() - other).norm() / other.norm())
            for one, other in zip(found, expected, strict=True)
        ]
        name = str(dtype or torch.float32).removeprefix("torch.")
        print(
            f"{name}: outputs differ by {errors[0]:.2e}, gradients by {errors[1]:.2e}", flush=True
        )


def _outputs_and_gradient(
    network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, dtype: torch.dtype | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits and the gradient of all weights, as one vector; the loss is not scaled."""
    network.zero_grad()
    with torch.autocast(images.device.type, dtype) if dtype else nullcontext():
        logits = network(images)
    torch.nn.functional.cross_entropy(logits.float(), labels).backward()
    gradients = [value.grad.flatten() for value in network.parameters() if value.grad is not None]
    return logits.detach().float(), torch.cat(gradients).float()


if __name__ == "__main__":
    main()

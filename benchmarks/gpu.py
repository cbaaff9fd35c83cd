"""Measures on a GPU, within a given time, what the tables and figures have no record of.

    python benchmarks/gpu.py --budget 8m --results DIR [STAGE …]
    python benchmarks/gpu.py --budget 2m --device cpu

A GPU is lent for minutes, so the stages come in order of worth, each with its share of the time.
A stage is one or more commands, each in a process of its own; a figure is written to the results
the moment it exists, as a record or as a line of ``gpu.jsonl``. A command that fails or runs out
of time costs no other. What the project's ``results/`` or DIR have of the same code is not measured
again, so that a second run goes on where the first one ended. The second form runs every stage in
miniature on the CPU, and fails where one does: a wrong option then shows before it costs time on a
GPU.

operators
    MogaNet-T's outputs and gradients in float32 and under both kinds of autocast against float32 on
    the CPU; the depth-wise convolutions against cuDNN; the tests of the kernels, RoIAlign, NMS,
    focal loss and deformable convolution.
moganet
    MogaNet-S: plain, fused, with the kernels, compiled, in a CUDA graph, beside ConvNeXt-T.
networks
    A training step of both; MogaNet's six sizes in their fastest form, then training; SimVP's step;
    throughput of Figure A3's networks in bfloat16 and float32, compiled and eager.
video
    SimVP with MogaNet on Moving MNIST, as many epochs as the time allows. It begins only with
    enough time for some, which it has where it is named alone.
others
    Masked images per second of the interaction analysis; throughput of detectors, segmentors, Table
    A14's translators and the networks since 2024.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mogabench.data.identity import SAMPLE
from mogabench.variants import VARIANTS

PROJECT = Path(__file__).parents[1]
STAGES = Path(__file__).with_name("gpu_stages")
MOGABENCH = (sys.executable, "-m", "mogabench")
RESERVE_SECONDS = 10
"""Kept back from a training that is told to end in time, to write its results."""
SHORTEST_TRAINING = 200
"""Seconds: to import, compile, time the steps and train some epochs."""
TIMING = ("--min-iterations", "10", "--min-seconds", "1", "--max-seconds", "5")
TIMING += ("--warmup-seconds", "0.5")
DENSE = ("moganet_small", "convnext_tiny", "resnet50")


@dataclass(frozen=True)
class Stage:
    """Commands with a share of the time; a stage also has what those before it left.

    ``{seconds}`` in a command stands for the time it has, and ``least`` is the time in seconds
    without which none is begun.
    """

    name: str
    share: float
    commands: tuple[tuple[str, ...], ...]
    least: float = 1


def main() -> None:
    chosen = _arguments()
    failed: dict[str, None] = {}
    with TemporaryDirectory() as work_dir:
        if chosen.results is None:
            chosen.results = Path("gpu-results" if chosen.device == "cuda" else work_dir)
        stages = _chosen_stages(chosen, work_dir)
        whole = sum(stage.share for stage in stages)
        until = time.monotonic()
        for stage in stages:
            until += stage.share / whole * chosen.budget
            for command in stage.commands:
                status = _run(stage, command, until - time.monotonic())
                if status or (status is None and chosen.device == "cpu"):
                    failed[stage.name] = None
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="default: all")
    parser.add_argument("--budget", type=_seconds, default=480, help="such as 8m or 90s")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--data", default=SAMPLE, help="MNIST's folder; default: the sample")
    parser.add_argument("--results", type=Path, help="default: gpu-results; on a CPU none are kept")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no GPU; --device cpu runs every stage in miniature")
    return chosen


def _chosen_stages(chosen: argparse.Namespace, work_dir: str) -> list[Stage]:
    stages = (_on_gpu if chosen.device == "cuda" else _in_miniature)(chosen, work_dir)
    names = [stage.name for stage in stages]
    if unknown := set(chosen.stages).difference(names):
        sys.exit(f"no stage {', '.join(sorted(unknown))}; the stages are {', '.join(names)}")
    return [stage for stage in stages if stage.name in chosen.stages or not chosen.stages]


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([sm])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration, such as 8m or 90s")
    return float(found[1]) * {"s": 1, "m": 60}[found[2]]


def _on_gpu(chosen: argparse.Namespace, work_dir: str) -> list[Stage]:
    plain = (*MOGABENCH, "profile", "--gpu", "--skip-existing", *TIMING)
    plain += ("--results", str(chosen.results))  # tables and `compare` take these of other tasks
    profile = (*plain, "--channels-last")
    best = [
        _stage(chosen, name, "--best", size)
        for name in ("inference", "training")
        for size in VARIANTS.values()
    ]
    return [
        Stage(
            "operators",
            0.25,
            (_stage(chosen, "precision"), _stage(chosen, "layers"), _tests("")),
        ),
        Stage("moganet", 0.3, (_stage(chosen, "inference"),)),
        Stage(
            "networks",
            0.3,
            (
                _stage(chosen, "training", "moganet_small"),
                _stage(chosen, "training", "--best", "convnext_tiny"),
                *best,
                _stage(chosen, "training", "simvp"),
                (*profile, "--dtype", "bfloat16", "--compile"),
                (*profile, "--dtype", "float32"),
                (*profile, "--dtype", "bfloat16"),
            ),
        ),
        Stage(
            "video",
            0.05,
            ((*_training(chosen, work_dir), "--amp", "bfloat16", "--compile", "--workers", "8"),),
            least=SHORTEST_TRAINING,
        ),
        Stage(
            "others",
            0.1,
            (
                _stage(chosen, "interaction"),
                (*plain, "--task", "detection", "--batch-size", "8", *DENSE),
                (*plain, "--task", "segmentation", "--batch-size", "8", *DENSE),
                (*plain, "--task", "video"),
                (*profile, "--paper", "since_2024", "--dtype", "bfloat16"),
            ),
        ),
    ]


def _in_miniature(chosen: argparse.Namespace, work_dir: str) -> list[Stage]:
    profile = (*MOGABENCH, "profile", "--channels-last", "--batch-size", "1", *TIMING)
    profile += ("--results", str(chosen.results))
    small = ("schedule.epochs=2", "sequences=16", "batch_size=4")
    small += ("model.depth=2", "model.hidden_dim=32", "model.encoder_dim=8")
    settings = [word for text in small for word in ("--set", text)]
    settings += ["--size", "10x1x32x32"]
    return [
        Stage(
            "operators",
            0.3,
            (_tests("test_regions.py"), _stage(chosen, "precision"), _stage(chosen, "layers")),
        ),
        Stage("moganet", 0.15, (_stage(chosen, "inference", "--best", "moganet_xtiny"),)),
        Stage(
            "networks",
            0.25,
            (
                _stage(chosen, "training", "test_convnext", "simvp"),
                (*profile, "test_convnext", "--size", "64"),
            ),
        ),
        Stage("video", 0.2, ((*_training(chosen, work_dir), *settings, "--workers", "1"),)),
        Stage(
            "others",
            0.1,
            (
                _stage(chosen, "interaction", "test_convnext"),
                (*profile, "--task", "detection", "test_convnext", "--size", "64x64"),
                (*profile, "--task", "segmentation", "test_convnext", "--size", "64x64"),
            ),
        ),
    ]


def _tests(file: str) -> tuple[str, ...]:
    tests = PROJECT / "tests" / "ops" / file
    # The machine has pytest, without what the project's own options for it need.
    options = ("-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider")
    return (sys.executable, "-m", "pytest", "-q", *options, str(tests))


def _stage(chosen: argparse.Namespace, name: str, *options: str) -> tuple[str, ...]:
    where = ("--device", chosen.device, "--results", str(chosen.results))
    return (sys.executable, str(STAGES / f"{name}.py"), *where, *options)


def _training(chosen: argparse.Namespace, work_dir: str) -> tuple[str, ...]:
    return (
        *(*MOGABENCH, "run", "video", "--translator", "moganet", "--train"),
        *("--recipe", "mmnist_200e", "--data", chosen.data, "--device", chosen.device),
        *("--channels-last", "--quiet", "--time-budget", "{seconds}s"),
        *("--work-dir", work_dir, "--results", str(chosen.results)),
    )


def _run(stage: Stage, command: tuple[str, ...], seconds: float) -> int | None:
    """Runs a command of a stage for so long at most.

    Returns:
        Its exit status; None where it was cut, with all that it had started, or not begun.
    """
    words = [w.format(seconds=max(int(seconds) - RESERVE_SECONDS, 1)) for w in command]
    name = " ".join((Path(words[0]).name, *words[1:]))
    if seconds < stage.least:
        print(f"{stage.name}: {max(seconds, 0):.0f} s are too few for {name}", flush=True)
        return None
    began = time.monotonic()
    print(f"{stage.name}: {name}", flush=True)
    try:
        status = _wait(words, seconds)
        outcome = "out of time" if status is None else f"status {status}"
    except OSError as error:
        status, outcome = 1, str(error)
    print(f"{stage.name}: {outcome} after {time.monotonic() - began:.0f} s", flush=True)
    return status


def _wait(words: list[str], seconds: float) -> int | None:
    process = subprocess.Popen(words, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    main()

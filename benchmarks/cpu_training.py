"""The training step of the digits sample on a CPU, beside the network computed as released.

    python benchmarks/cpu_training.py [--steps 50] [--threads 1]

Both ways train the same network from the same weights on the same batches, by the engine's own
loss, optimizer and schedule, step by step in turns. The baseline computes as the released network:
NCHW, with PyTorch's own convolutions and GELU. A step is timed by the CPU time of the process; the
images are loaded by a process of its own. The losses of the two are compared step by step.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from mogabench.data.identity import SAMPLE
from mogabench.engine.loading import training_loader
from mogabench.engine.make_job import make_job
from mogabench.engine.optimization import optim_wrapper
from mogabench.engine.randomness import seed_everything
from mogabench.engine.schedule import rate_setter
from mogabench.machine import device_name
from mogabench.ops.channels_last import GELU, PointwiseConv2d
from mogabench.ops.depthwise import DepthwiseConv2d
from mogabench.subject import Subject
from mogabench.tasks import get_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from mogabench.engine.job import Job

RELEASED: dict[type[nn.Module], type[nn.Module]] = {
    DepthwiseConv2d: nn.Conv2d,
    PointwiseConv2d: nn.Conv2d,
    GELU: nn.GELU,
}


class Step(NamedTuple):
    """What a training step gave: its loss and its seconds of CPU time."""

    loss: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory() as folder:
        job = _job(Path(folder))
        released = replace(job, channels_last=False)
        assert job.recipe is not None
        loader = training_loader(job, get_task("classification").prepare(job).train, 64)
        step_of = [_trainer(one, len(loader)) for one in (released, job)]
        steps: list[list[Step]] = [[], []]
        for number, batch in enumerate(loader):
            if number == chosen.steps:
                break
            for step, taken in zip(step_of, steps, strict=True):
                taken.append(step(number, batch))
    _print(*steps, chosen.threads)


def _job(folder: Path) -> Job[Any, Any]:
    task = get_task("classification")
    subject = Subject(
        task="classification",
        method="classifier",
        backbone="moganet_xtiny",
        input_size=task.default_sizes["classifier"],
    )
    return make_job(
        task,
        subject,
        data=SAMPLE,
        size_is_given=False,
        recipe=None,
        overrides=[],
        weights=None,
        train=True,
        work_dir=folder,
        device="cpu",
        workers=1,
        quiet=True,
    )


def _trainer(job: Job[Any, Any], steps_per_epoch: int) -> Callable[[int, Any], Step]:
    """What does the step of a number, from 0, on a batch."""
    seed_everything(job.seed)
    model = get_task("classification").prepare(job).model
    if not job.channels_last:
        for module in model.network.modules():
            module.__class__ = RELEASED.get(type(module), type(module))
    model.adapt(job)
    model.train()
    optimizer = optim_wrapper(model.network, job.recipe, amp=None, accumulation=1)
    set_rate = rate_setter(job.recipe.schedule, optimizer.optimizer, steps_per_epoch)

    def step(number: int, batch: Any) -> Step:
        set_rate(number)
        began = time.process_time()
        losses = model.train_step(batch, optimizer)
        return Step(float(losses["loss"].detach()), time.process_time() - began)

    return step


def _print(released: list[Step], ours: list[Step], threads: int) -> None:
    print(f"{device_name('cpu')}, {threads} threads, torch {torch.__version__}")
    for name, steps in (("as released", released), ("ours", ours)):
        low, middle, high = np.percentile([step.seconds for step in steps], (10, 50, 90))
        print(f"{name:12}{1e3 * middle:7.0f} ms a step, {1e3 * low:.0f} to {1e3 * high:.0f}")
    ratios = [one.seconds / other.seconds for one, other in zip(released, ours, strict=True)]
    print(f"{np.median(ratios):.2f} times as fast")
    differences = [abs(one.loss - other.loss) for one, other in zip(released, ours, strict=True)]
    print(f"losses over {len(ours)} steps differ by at most {max(differences):.1e}")


if __name__ == "__main__":
    main()

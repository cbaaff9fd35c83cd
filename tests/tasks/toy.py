"""A whole task in one file: how bright is a picture? CONTRIBUTING.md points here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from mogabench.catalogue import create_network
from mogabench.engine.task import Metric, Setup, Source, Task, TaskOptions
from mogabench.errors import UserError
from mogabench.recipes.schedules import StepSchedule
from mogabench.recipes.schema import Recipe
from mogabench.records import Data

if TYPE_CHECKING:
    from torch import nn

    from mogabench.engine.job import Job
    from mogabench.subject import Subject

SAMPLE_RECIPE = """
# Forty steps on grey noise, in seconds:
#   mogabench run toy --backbone test_resnet --data sample --train
task: toy
method: null
title: How bright is grey noise?
seed: 1
batch_size: 8
schedule: {policy: step, epochs: 5, milestones: [4]}
optimizer: {name: adamw, lr: 3e-3, weight_decay: 0.0}
model: {drop_path: 0.0}
ema: null
"""


class ToyRecipe(Recipe):
    """Nothing beside what all recipes say."""

    task: Literal["toy"]
    schedule: StepSchedule


class ToyOptions(TaskOptions):
    """What the task adds to the command line."""

    contrast: float = Field(0.1, description="Of the noise.")


class Toy(Task[ToyRecipe, ToyOptions]):
    """See `mogabench.engine.task.Task`."""

    name = "toy"
    title = "Brightness of a picture"
    methods = ("regression",)
    metrics = (Metric("mae", "MAE", "1"),)
    default_sizes = {"regression": (32, 32)}
    Recipe = ToyRecipe
    Options = ToyOptions
    sample_recipe = "sample_toy"
    recipes = {"sample_toy": SAMPLE_RECIPE}

    def build(self, subject: Subject) -> nn.Module:
        """A timm network with one output."""
        return create_network(subject.backbone, {**dict(subject.options), "num_classes": 1})

    def prepare(self, job: Job[ToyRecipe, ToyOptions]) -> Setup:
        """Draws the noise and builds the network."""
        from mogabench.engine.weights import load_job_weights

        if job.data != "sample":
            raise UserError("there is only --data sample")
        Brightness, MeanError, Bars = _classes()
        network = self.build(job.network_subject())
        notes = load_job_weights(self, job, network)
        return Setup(
            Brightness(network),
            _source(job, "test", 16),
            MeanError(),
            _source(job, "train", 64) if job.train else None,
            notes=notes,
            drawing=Bars(),
            same_shapes=True,
        )


class Noise:
    """Grey pictures ``(3, H, W)`` of random brightness."""

    def __init__(self, count: int, size: tuple[int, ...], contrast: float) -> None:
        self.count, self.size, self.contrast = count, size, contrast

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = np.random.default_rng((self.count, index))
        brightness = generator.random()
        noise = generator.normal(brightness, self.contrast, (3, *self.size))
        return {"inputs": noise.astype(np.float32), "brightness": np.float32(brightness)}


def _source(job: Job[ToyRecipe, ToyOptions], split: Literal["train", "test"], count: int) -> Source:
    items = Noise(count, job.subject.input_size, job.options.contrast)
    digest = f"{count} of contrast {job.options.contrast}"
    return Source(items, Data(name="sample-noise", split=split, samples=count, digest=digest))


def _classes() -> tuple[Any, Any, Any]:
    """What needs PyTorch, which must not be imported with the task."""
    import torch

    from mogabench.engine.drawing import Mosaic
    from mogabench.engine.metric import GatheredMetric
    from mogabench.engine.model import Trained

    class Brightness(Trained):
        """A network that learns the mean squared error."""

        def loss(self, inputs: Any, brightness: Any) -> dict[str, Any]:
            return {"loss": (self.run(inputs).float()[:, 0] - brightness).square().mean()}

        def predict(self, inputs: Any, **_: Any) -> Any:
            return self.run(inputs).float()[:, 0]

    class MeanError(GatheredMetric):
        """The mean absolute error."""

        def process(self, data_batch: dict[str, Any], data_samples: Any) -> None:
            errors = (torch.stack(list(data_samples)).cpu() - data_batch["brightness"]).abs()
            self.results.extend(errors.tolist())

        def compute_metrics(self, results: list[float]) -> dict[str, float]:
            return {"mae": float(np.mean(results))}

    class Bars(Mosaic):
        """Each picture beside one of the predicted brightness."""

        def draw(self, batch: dict[str, Any], outputs: Any) -> Any:
            for picture, found in zip(batch["inputs"], outputs.tolist(), strict=True):
                seen = picture.permute(1, 2, 0).clamp(0, 1).numpy()
                yield (255 * np.hstack([seen, np.full_like(seen, np.clip(found, 0, 1))])).astype(
                    "u1"
                )

    return Brightness, MeanError, Bars


TASK = Toy()

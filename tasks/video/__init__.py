"""Video prediction on Moving MNIST: SimVP, whose translators turn past frames into future ones."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mogabench.engine.task import Metric, Task
from mogabench.errors import UserError
from mogabench.tasks.video.options import VideoOptions
from mogabench.tasks.video.recipe import VideoRecipe

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor, nn

    from mogabench.checkpoints import Description
    from mogabench.data.normalization import Normalization
    from mogabench.engine.job import Job
    from mogabench.engine.model import Trained
    from mogabench.engine.prediction import Predictor
    from mogabench.engine.reporting import Noting
    from mogabench.engine.task import Setup
    from mogabench.subject import Subject


_WITHOUT_DROP_PATH = ("incepu", "convmixer")


class Video(Task[VideoRecipe, VideoOptions]):
    """See `mogabench.engine.task.Task`."""

    name = "video"
    title = "Video prediction"
    methods = ("simvp",)
    metrics = (
        Metric("mse", "MSE", "1", lower_is_better=True),
        Metric("mae", "MAE", "1", lower_is_better=True),
        Metric("ssim", "SSIM", "1"),
        Metric("psnr", "PSNR (dB)", "dB"),
    )
    default_sizes = {"simvp": (10, 1, 64, 64)}
    Recipe = VideoRecipe
    Options = VideoOptions
    sample_recipe = "sample_video"
    example = "--translator moganet"
    datasets = {"simvp": "moving-mnist"}
    samples = {"simvp": (10_000, 10_000)}
    predictions = ".npy"
    counted_input = "one sequence"
    backbone_word = "translator"

    def backbones(self) -> Collection[str]:
        """The translators; listed here so that naming them takes no PyTorch."""
        # Whoever has registered one has imported this.
        outside = sys.modules.get("mogabench.models.simvp.registration")
        return (
            *("vit", "swin", "uniformer", "mlpmixer", "convmixer", "poolformer"),
            *("incepu", "convnext", "van", "hornet", "moganet", "gsta", "tau"),
            *(outside.registered() if outside else ()),
        )

    def default_recipe(self, subject: Subject) -> str:
        """The shorter one of the table's two."""
        return "mmnist_200e"

    def build(self, subject: Subject) -> nn.Module:
        """Builds SimVP with random weights."""
        return _network(subject, dict(subject.options))

    def example_inputs(self, subject: Subject, batch_size: int = 1) -> tuple[Tensor, ...]:
        """Random past frames ``(batch_size, T, C, H, W)``."""
        import torch

        return (torch.rand(batch_size, *subject.input_size),)

    def training_example(self, subject: Subject, batch_size: int) -> tuple[Trained, dict[str, Any]]:
        """Random sequences, of which the first half is seen; the loss is the squared error."""
        import torch

        from mogabench.tasks.video.model import FramePredictor

        seen, *frame = subject.input_size
        frames = torch.rand(batch_size, 2 * seen, *frame)
        return FramePredictor(self.build(subject), seen, seen), {"frames": frames}

    def normalization(self, network: nn.Module, subject: Subject) -> Normalization:
        """None but to 0 to 1."""
        from mogabench.data.normalization import Normalization

        channels = subject.input_size[1]
        return Normalization((0.0,) * channels, (1.0,) * channels)

    def prepare(self, job: Job[VideoRecipe, VideoOptions]) -> Setup:
        """Opens or draws the sequences, builds SimVP and loads its weights."""
        from mogabench.engine.task import Setup
        from mogabench.engine.weights import load_job_weights
        from mogabench.tasks.video.data import Numbered, open_sources, predicted_frames
        from mogabench.tasks.video.drawing import DrawSequences
        from mogabench.tasks.video.metric import Baseline, FrameQuality
        from mogabench.tasks.video.model import FramePredictor

        recipe = job.recipe
        changed = _changed_by_recipe(job)
        built = {**dict(job.subject.options), **changed}
        train, test, left_out = open_sources(job, recipe.sequences if recipe else 0)
        seen = job.subject.input_size[0]
        network = _network(job.subject, built)
        left_out = [*left_out, *load_job_weights(self, job, network)]
        metric = FrameQuality(seen)
        numbered = Numbered(test)
        listed = ", ".join(f"{name}={value}" for name, value in changed.items())
        notes = [f"the recipe builds the network with {listed}"] if listed else []
        hooks: list[Noting] = [Baseline(metric, notes)]
        if job.options.check is not None:
            from mogabench.tasks.video.openstl import CompareWithOpenSTL

            hooks.append(CompareWithOpenSTL(job, network, predicted_frames(job), built))
        return Setup(
            FramePredictor(
                network, seen, predicted_frames(job), recipe.divergence if recipe else None
            ),
            replace(test, items=numbered, collate=numbered.collate),
            metric,
            train,
            hooks=hooks,
            notes=left_out,
            drawing=DrawSequences(seen),
            eval_batch=16,
            same_shapes=True,
            options=changed,
            of_task={"out_frames": predicted_frames(job)},
        )

    def predictor(
        self, job: Job[VideoRecipe, VideoOptions], stated: Description | None
    ) -> Predictor:
        """Builds SimVP as its weights state it, and loads these."""
        from mogabench.engine.weights import load_job_weights
        from mogabench.tasks.video.data import predicted_frames
        from mogabench.tasks.video.model import FramePredictor
        from mogabench.tasks.video.prediction import VideoPredictor

        network = _network(job.subject, {**dict(job.subject.options), **_changed_by_recipe(job)})
        notes = load_job_weights(self, job, network)
        seen = job.subject.input_size[0]
        return VideoPredictor(job, FramePredictor(network, seen, predicted_frames(job)), notes)


def _changed_by_recipe(job: Job[VideoRecipe, VideoOptions]) -> dict[str, Any]:
    """What the recipe has other than the paper's SimVP.

    Raises:
        UserError: The subject's options say otherwise, or a training could not follow it.
    """
    changed = job.recipe.model.model_dump(exclude_defaults=True) if job.recipe else {}
    if job.train and "drop_path" in changed and job.subject.backbone in _WITHOUT_DROP_PATH:
        raise UserError(
            f"model.drop_path={changed['drop_path']} has no effect: {job.subject.backbone} has no "
            "stochastic depth"
        )
    for name, value in job.subject.options:
        if changed.get(name, value) != value:
            raise UserError(
                f"--option {name}={value} contradicts the recipe's {name} of {changed[name]}; "
                f"--set model.{name}={value} changes it"
            )
    return changed


def _network(subject: Subject, options: dict[str, Any]) -> nn.Module:
    from mogabench.models.simvp import SimVP

    if len(subject.input_size) != 4:
        raise UserError("a sequence has frames, channels, height and width: --size 10x1x64x64")
    try:
        return SimVP(subject.backbone, input_size=subject.input_size, **options)
    except TypeError as error:
        reason = str(error).partition("() ")[2] or str(error)
        raise UserError(f"SimVP cannot be built with {options}: {reason}") from error


TASK = Video()

"""Video prediction on Moving MNIST: SimVP, told apart by what translates past into future."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError
from mogabench.recipes.video_schema import VideoRecipe
from mogabench.tasks import Metric

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor, nn

    from mogabench.engine.job import Job
    from mogabench.engine.runner import QuietRunner
    from mogabench.subject import Subject

_BATCH = 16


class Video:
    """See `mogabench.tasks.Task`."""

    name = "video"
    title = "Video prediction"
    methods = ("simvp",)
    metrics = (
        Metric("mse", "MSE", "1", higher_is_better=False),
        Metric("mae", "MAE", "1", higher_is_better=False),
        Metric("ssim", "SSIM", "1"),
        Metric("psnr", "PSNR (dB)", "dB"),
    )
    default_sizes: Mapping[str, tuple[int, ...]] = dict.fromkeys(methods, (10, 1, 64, 64))
    recipe_schema = VideoRecipe
    sample_recipe = "sample_video"
    datasets: Mapping[str, str] = dict.fromkeys(methods, "moving-mnist")
    counting = "one sequence"

    def backbones(self) -> Collection[str]:
        """The translators; listed here so that naming them takes no PyTorch."""
        return (
            *("vit", "swin", "uniformer", "mlpmixer", "convmixer", "poolformer"),
            *("incepu", "convnext", "van", "hornet", "moganet", "gsta"),
        )

    def default_recipe(self, subject: Subject) -> str:
        """The shorter one of the table's two."""
        return "mmnist_200e"

    def build(self, subject: Subject) -> nn.Module:
        """Builds SimVP with random weights.

        Raises:
            UserError: There is no such translator or option, or the size does not fit.
        """
        return _network(subject, dict(subject.options))

    def example_inputs(self, subject: Subject, batch_size: int = 1) -> tuple[Tensor, ...]:
        """Random past frames ``(batch_size, T, C, H, W)``."""
        import torch

        return (torch.rand(batch_size, *subject.input_size),)

    def runner(self, job: Job) -> QuietRunner:
        """Opens the data, builds the network, loads weights, joins them up.

        Raises:
            UserError: Data, network, weights and recipe do not fit together.
        """
        from mogabench.checkpoints import load_weights
        from mogabench.engine.loading import evaluation_loader, training_loader
        from mogabench.engine.randomness import seed_everything
        from mogabench.engine.runner import batches_per_step, make_runner
        from mogabench.video.data import open_splits
        from mogabench.video.pictures import DrawPredictions
        from mogabench.video.predictor import Predictor
        from mogabench.video.quality import Baseline, FrameQuality

        recipe = job.recipe if isinstance(job.recipe, VideoRecipe) else None
        train_split, test_split = open_splits(job, recipe.sequences if recipe else 0)
        seed_everything(job.seed)
        changed = _changes(recipe)
        network = _network(job.subject, {**dict(job.subject.options), **changed})
        if job.weights is not None:
            load_weights(network, job.weights)
        training = None
        if train_split is not None:
            size, _ = batches_per_step(job)
            training = training_loader(job, train_split.items, size, collate=train_split.collate)
        metric = FrameQuality()
        told = ", ".join(f"{name}={value}" for name, value in changed.items())
        hooks = [Baseline(metric, [f"the recipe builds the network with {told}"] * bool(told))]
        if job.work_dir is not None:
            hooks.append(DrawPredictions(job.work_dir))
        return make_runner(
            job,
            Predictor(network, job),
            training=training,
            evaluation=evaluation_loader(
                job, test_split.items, job.batch_size or _BATCH, collate=test_split.collate
            ),
            metric=metric,
            train_data=train_split.identity if train_split else None,
            test_data=test_split.identity,
            hooks=hooks,
            same_shapes=True,
        )


def _changes(recipe: VideoRecipe | None) -> dict[str, Any]:
    """What the recipe has other than the paper's SimVP."""
    return recipe.model.model_dump(exclude_defaults=True) if recipe else {}


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

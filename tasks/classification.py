"""Image classification: a timm network, judged by how often its first answers are right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mogabench.catalogue import backbones, create_network, fixed_size
from mogabench.errors import UserError
from mogabench.recipes.classification_schema import ClassificationRecipe
from mogabench.tasks import Metric

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor, nn

    from mogabench.engine.job import Job
    from mogabench.engine.runner import QuietRunner
    from mogabench.subject import Subject


class Classification:
    """See `mogabench.tasks.Task`."""

    name = "classification"
    title = "Image classification"
    methods = ("classifier",)
    metrics = (Metric("top1", "Top-1 (%)", "%"), Metric("top5", "Top-5 (%)", "%"))
    default_sizes: Mapping[str, tuple[int, ...]] = dict.fromkeys(methods, (224, 224))
    recipe_schema = ClassificationRecipe
    sample_recipe = "sample_digits"
    datasets: Mapping[str, str] = dict.fromkeys(methods, "imagenet-1k")
    counting = "one image"

    def backbones(self) -> Collection[str]:
        """Every network that timm knows."""
        return backbones()

    def default_recipe(self, subject: Subject) -> str:
        """300 epochs of ImageNet-1K at 224 pixels."""
        return "in1k_300e"

    def build(self, subject: Subject) -> nn.Module:
        """Builds the network with random weights, for 1000 classes unless its options say else.

        Raises:
            UserError: timm knows no such network, or the network has no such option.
        """
        return _network(subject)

    def example_inputs(self, subject: Subject, batch_size: int = 1) -> tuple[Tensor, ...]:
        """Random images ``(batch_size, 3, H, W)``."""
        import torch

        return (torch.randn(batch_size, 3, *subject.input_size),)

    def runner(self, job: Job) -> QuietRunner:
        """Opens the data, builds the network for its classes, loads weights, joins them up.

        Raises:
            UserError: Data, network, weights and recipe do not fit together.
        """
        from timm.data import resolve_model_data_config

        from mogabench.checkpoints import load_weights
        from mogabench.classification.classifier import Classifier, TopAccuracy, check_pairs
        from mogabench.classification.images import evaluation_images, training_images
        from mogabench.classification.splits import open_splits
        from mogabench.classification.unreadable import UnreadableImages
        from mogabench.engine.loading import evaluation_loader, training_loader
        from mogabench.engine.randomness import seed_everything
        from mogabench.engine.runner import batches_per_step, make_runner

        _check_sizes(job)
        train_split, test_split = open_splits(job)
        subject, num_classes = _for_data(job, test_split.classes)
        seed_everything(job.seed)
        network = _network(subject)
        if job.weights is not None:
            load_weights(network, job.weights, new_head=job.new_head)
        config = resolve_model_data_config(network)
        training = None
        if train_split is not None:
            assert isinstance(job.recipe, ClassificationRecipe)
            size, _ = batches_per_step(job)
            check_pairs(job.recipe, size)
            images = training_images(job, train_split, config)
            repeats = max(job.recipe.augment.repeated, 1)
            training = training_loader(job, images, size, repeats=repeats)
        return make_runner(
            job,
            Classifier(network, job, num_classes),
            training=training,
            evaluation=evaluation_loader(
                job, evaluation_images(job, test_split, config), job.batch_size or 64
            ),
            metric=TopAccuracy(),
            train_data=train_split.identity if train_split else None,
            test_data=test_split.identity,
            hooks=[UnreadableImages(train_split, test_split, job.on_bad_image)],
            same_shapes=True,
        )


def _network(subject: Subject) -> nn.Module:
    options = {"num_classes": 1000, **dict(subject.options)}
    return create_network(subject.backbone, options, subject.input_size)


def _check_sizes(job: Job) -> None:
    from mogabench.recipes import ClassificationRecipe

    if job.train and isinstance(job.recipe, ClassificationRecipe):
        train_size, test_size = (job.recipe.input.train_size,) * 2, job.subject.input_size
        if train_size != test_size and fixed_size(job.subject.backbone):
            raise UserError(
                f"{job.subject.backbone} takes images of one size, but the recipe trains at "
                f"{train_size[0]} and tests at {test_size[0]}; --set input.train_size="
                f"{test_size[0]}"
            )


def _for_data(job: Job, classes: int | None) -> tuple[Subject, int]:
    """The subject with the data's number of classes and, in training, the recipe's drop path.

    Returns:
        The subject and its number of classes.

    Raises:
        UserError: The subject's options ask for another number of classes than the data has.
    """
    options: dict[str, Any] = dict(job.subject.options)
    num_classes: int = options.setdefault("num_classes", classes or 1000)
    if classes is not None and classes != num_classes:
        raise UserError(
            f"the network is to tell {num_classes} classes apart, but {job.data} has {classes}; "
            "--class-map FILE gives the data the network's classes"
        )
    if job.train and job.recipe and job.recipe.model.drop_path:
        options["drop_path_rate"] = job.recipe.model.drop_path
    return job.subject.model_copy(update={"options": tuple(options.items())}), num_classes


TASK = Classification()

"""Image classification: a timm network, evaluated by top-1 and top-5 accuracy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from mogabench.catalogue import create_network, fixed_size
from mogabench.engine.task import Metric, Task, input_channels
from mogabench.errors import UserError
from mogabench.tasks.classification.options import ClassificationOptions
from mogabench.tasks.classification.recipe import ClassificationRecipe

if TYPE_CHECKING:
    from torch import nn

    from mogabench.checkpoints import Description
    from mogabench.data.normalization import Normalization
    from mogabench.engine.job import Job
    from mogabench.engine.model import Trained
    from mogabench.engine.prediction import Predictor
    from mogabench.engine.task import Setup
    from mogabench.subject import Subject
    from mogabench.tasks.classification.data import ClassificationJob


def binomial_deviation(accuracy: float, images: int) -> float:
    """Standard deviation of an accuracy over as many images, both in percent.

    At 84 % of 50,000 it is 0.16 points. The spread between seeds comes on top of it.
    """
    share = accuracy / 100
    return 100 * math.sqrt(share * (1 - share) / images)


class Opened(NamedTuple):
    """A network with a job's weights.

    Attributes:
        network: On the CPU.
        config: How it takes images, as timm resolves it, for its number of channels.
        pixels: Mean and standard deviation of that.
        num_classes: How many it was built for.
        notes: What of the weights was left out or repaired.
    """

    network: nn.Module
    config: dict[str, Any]
    pixels: Normalization
    num_classes: int
    notes: list[str]


class Classification(Task[ClassificationRecipe, ClassificationOptions]):
    """See `mogabench.engine.task.Task`."""

    name = "classification"
    title = "Image classification"
    methods = ("classifier",)
    metrics = (
        Metric("top1", "Top-1 (%)", "%", binomial_deviation),
        Metric("top5", "Top-5 (%)", "%", binomial_deviation),
    )
    default_sizes = {"classifier": (224, 224)}
    Recipe = ClassificationRecipe
    Options = ClassificationOptions
    sample_recipe = "sample_digits"
    datasets = {"classifier": "imagenet-1k"}
    samples = {"classifier": (1_281_167, 50_000)}
    predictions = ".csv"
    has_classes = True
    has_confusions = True
    takes_channels = True
    channels_last = True

    def default_recipe(self, subject: Subject) -> str:
        """300 epochs of ImageNet-1K at 224 pixels."""
        return "in1k_300e"

    def build(self, subject: Subject) -> nn.Module:
        """Builds the network with random weights, for 1000 classes unless its options say else."""
        options = dict(subject.options) | {"num_classes": _num_classes(subject)}
        return create_network(subject.backbone, options, subject.input_size)

    def training_example(self, subject: Subject, batch_size: int) -> tuple[Trained, dict[str, Any]]:
        """Random images of random classes; the loss is their cross-entropy."""
        import torch

        from mogabench.tasks.classification.model import Classifier

        classes = _num_classes(subject)
        model = Classifier(self.build(subject), None, classes)
        (images,) = self.example_inputs(subject, batch_size)
        labels = torch.randint(classes, (batch_size,))
        return model, {"inputs": images, "labels": labels}

    def normalization(self, network: nn.Module, subject: Subject) -> Normalization:
        """The network's, as timm resolves it, for its number of channels."""
        from timm.data import resolve_model_data_config

        from mogabench.tasks.classification.channels import normalization

        return normalization(resolve_model_data_config(network), input_channels(subject))

    def prepare(self, job: Job[ClassificationRecipe, ClassificationOptions]) -> Setup:
        """Opens the folders, builds the network for their classes and loads its weights."""
        from mogabench.engine.batches import batches_per_step
        from mogabench.engine.task import Setup, Source
        from mogabench.tasks.classification.channels import image_mode
        from mogabench.tasks.classification.data import open_splits
        from mogabench.tasks.classification.images import evaluation_images, training_images
        from mogabench.tasks.classification.metric import TopAccuracy
        from mogabench.tasks.classification.model import Classifier, check_pairs

        _check_sizes(job)
        image_mode(input_channels(job.subject))
        train_split, test_split = open_splits(job)
        if job.predictions is not None and test_split.is_stream:
            raise UserError("--predictions needs images in folders, whose names the file can give")
        opened = self.open(job, test_split.num_classes, test_split.classes)
        notes = [note for split in (train_split, test_split) if split for note in split.notes]
        train = None
        if train_split is not None and job.recipe is not None:
            job.recipe.check_changes()
            check_pairs(job.recipe, batches_per_step(job)[0])
            images = training_images(job, train_split, opened.config)
            repeats = max(job.recipe.augment.repeated, 1)
            if repeats > 1 and train_split.is_stream:
                raise UserError(
                    f"augment.repeated={repeats}: a stream gives each image once; take images in "
                    "folders, or --set augment.repeated=0"
                )
            train = Source(images, train_split.identity, repeats=repeats)
        return Setup(
            Classifier(opened.network, job.recipe, opened.num_classes),
            Source(
                evaluation_images(job, test_split, opened.config),
                test_split.identity,
                annotated=test_split.annotated,
            ),
            TopAccuracy(
                test_split.classes,
                test_split.name_of,
                test_split.identity.samples if test_split.is_stream else 0,
            ),
            train,
            notes=notes + opened.notes,
            same_shapes=True,
            classes=test_split.classes,
        )

    def predictor(
        self,
        job: Job[ClassificationRecipe, ClassificationOptions],
        stated: Description | None,
    ) -> Predictor:
        """Builds the network for the classes that its weights state, and loads these."""
        from mogabench.data.classes import read_class_names
        from mogabench.tasks.classification.images import evaluation_transform
        from mogabench.tasks.classification.model import Classifier
        from mogabench.tasks.classification.names import stated_names
        from mogabench.tasks.classification.prediction import ClassPredictor

        named = stated.classes if stated is not None else ()
        if job.options.class_map is not None:
            named = read_class_names(job.options.class_map)
        opened = self.open(job, len(named) or None, named)
        return ClassPredictor(
            job,
            Classifier(opened.network, None, opened.num_classes),
            evaluation_transform(job, opened.config),
            named or stated_names(stated, opened.num_classes),
            opened.notes,
        )

    def open(
        self, job: ClassificationJob, num_classes: int | None = None, classes: tuple[str, ...] = ()
    ) -> Opened:
        """Builds a job's network and loads its weights.

        Args:
            job: What to build, and from which file.
            num_classes: As the data has them; None leaves it to the subject.
            classes: Their names, where the data says them.

        Raises:
            UserError: The weights do not fit.
        """
        from timm.data import resolve_model_data_config

        from mogabench.engine.weights import load_job_weights

        subject = job.network_subject(num_classes)
        network = self.build(subject)
        notes = load_job_weights(self, job, network, classes=classes)
        pixels = self.normalization(network, subject)
        config = resolve_model_data_config(network) | {"mean": pixels.mean, "std": pixels.std}
        return Opened(network, config, pixels, _num_classes(subject), notes)


def _num_classes(subject: Subject) -> int:
    """As its options say, else those of ImageNet-1K."""
    options: dict[str, Any] = dict(subject.options)
    number: int = options.get("num_classes", 1000)
    return number


def _check_sizes(job: Job[ClassificationRecipe, ClassificationOptions]) -> None:
    if job.train and job.recipe is not None:
        train_size, test_size = (job.recipe.input.train_size,) * 2, job.subject.input_size
        if train_size != test_size and fixed_size(job.subject.backbone):
            raise UserError(
                f"{job.subject.backbone} takes images of one size, but the recipe trains at "
                f"{train_size[0]} and tests at {test_size[0]}; --set input.train_size="
                f"{test_size[0]}"
            )


TASK = Classification()

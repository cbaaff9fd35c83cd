"""The contract between tasks and everything that uses them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol

from mogabench.catalogue import backbones
from mogabench.engine.options import O, R
from mogabench.engine.options import TaskOptions as TaskOptions  # noqa: PLC0414  # for tasks
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from mmengine.hooks import Hook
    from torch import Tensor, nn
    from torch.utils.data import IterableDataset

    from mogabench.checkpoints import Description
    from mogabench.data.normalization import Normalization
    from mogabench.engine.drawing import Drawing
    from mogabench.engine.job import Job
    from mogabench.engine.metric import GatheredMetric
    from mogabench.engine.model import Trained
    from mogabench.engine.prediction import Predictor
    from mogabench.records import Data
    from mogabench.subject import Subject


@dataclass(frozen=True)
class Metric:
    """A figure of quality.

    Attributes:
        name: Its key in records.
        label: How tables head it.
        unit: Its unit in records.
        noise: Its standard deviation between runs, in its unit, by its value and the number of
            samples; None where nothing is known of it.
        lower_is_better: Whether it is an error.
    """

    name: str
    label: str
    unit: str
    noise: Callable[[float, int], float] | None = None
    lower_is_better: bool = False


class Indexed(Protocol):
    """Items by index; what is random in them may use Python's, NumPy's or PyTorch's generator."""

    def __len__(self) -> int:
        """The number of items."""
        ...

    def __getitem__(self, index: int) -> Any:
        """The item at that place, from 0."""
        ...


@dataclass(frozen=True)
class Source:
    """What a loader draws from.

    Attributes:
        items: The samples; a stream has an order of its own, see `ResumableLoop`.
        identity: What a record calls the data.
        collate: Makes a batch of items; None stacks tensors.
        repeats: How often an item follows itself in training (repeated augmentation).
        groups: A number for each item; a step of training takes items of equal ones. None for any.
        annotated: Whether it says what is right; without, an evaluation only writes predictions.
    """

    items: Indexed | IterableDataset[Any]
    identity: Data
    collate: Callable[[list[Any]], Any] | None = None
    repeats: int = 1
    groups: Sequence[int] | None = None
    annotated: bool = True


@dataclass(frozen=True)
class Setup:
    """All that the engine needs to do a job.

    Attributes:
        model: The network, with its initial or loaded weights.
        test: What it is evaluated on.
        metric: What is evaluated.
        train: What it is trained on; None to evaluate only.
        hooks: mmengine's hooks that the task adds.
        notes: What was left out of the data and of the weights, or repaired, a line for each kind
            with its count; shown before the run and kept in the record.
        drawing: Draws predictions; None draws none.
        eval_batch: Samples per forward pass and device in evaluation, unless the job says so.
        max_eval_batch: The most that evaluation can take; None for any number.
        same_shapes: Whether images are of one size throughout: cuDNN then tries its kernels and
            takes the fastest, which it would do again for every new size.
        eval_size: Height and width that images are evaluated at; None for the subject's size.
        classes: Their names, in the order of the network's outputs; empty where there are none.
        class_ids: What the data numbers them by; empty where it does not number them itself.
        options: What the recipe builds the network with, beside the subject's options.
        of_task: What else weights that are trained state, as plain values.
    """

    model: Trained
    test: Source
    metric: GatheredMetric
    train: Source | None = None
    hooks: Sequence[Hook] = ()
    notes: Sequence[str] = ()
    drawing: Drawing | None = None
    eval_batch: int = 64
    max_eval_batch: int | None = None
    same_shapes: bool = False
    eval_size: tuple[int, ...] | None = None
    classes: tuple[str, ...] = ()
    class_ids: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    of_task: Mapping[str, Any] = field(default_factory=dict)


def input_channels(subject: Subject) -> int:
    """The channels of a subject's input images: its option ``in_chans``, or 3.

    Raises:
        UserError: The option is not a positive number.
    """
    channels = dict(subject.options).get("in_chans", 3)
    if not isinstance(channels, int) or channels < 1:
        raise UserError(f"--option in_chans={channels} is not a number of channels, such as 3")
    return channels


class Task(ABC, Generic[R, O]):
    """A task: what can be measured of a network, and how.

    A task is a module with an instance called ``TASK``. Importing it must not import torch, so
    that listing the tasks stays instant; the heavy imports belong inside the methods.

    Attributes:
        name: As on the command line.
        title: In words.
        methods: The ways to do it; the first one is the default.
        metrics: What an evaluation measures.
        default_sizes: The input size behind the paper's figures, by method.
        Recipe: What its recipes may say.
        Options: The options that it adds to the command line.
        sample_recipe: What a training on ``--data sample`` follows where no recipe is named.
        recipes: The text of recipes that it carries itself, by name; others are files in
            ``recipes/<name>/``.
        datasets: What records call the data set behind the paper's figures, by method.
        samples: How many of its samples are trained on and evaluated on, by method; a sweep's
            times follow from it.
        trained_on: Name of the training data set, if it is not the evaluation one, by method.
        beside_data: Further options that the paper's data set needs, such as ``("--boxes",
            "FILE")``.
        counted_input: What one forward pass takes when parameters and operations are counted.
        backbone_word: What its backbones are called, which is one more name of ``--backbone``.
        predictions: The ending of the file that its predictions can be written to, such as
            ``.json``; empty where its metric has no ``encode``.
        has_classes: Whether its metric has figures ``by_class``.
        has_confusions: Whether its metric has a confusion matrix.
        takes_channels: Whether its networks may take other than RGB images, by the backbone's
            option ``in_chans``.
        channels_last: Whether its images are laid out as NHWC, unless the command line says else.
        backbone_module: Where in the task's networks the timm network is, such as ``backbone``;
            empty where it is the network itself.
        graph_part: What of a network its `graph` holds, such as ``backbone and neck``, where that
            is not all: another runtime then computes this part, and no file can hold the network.
        example: The network of the example in the command line's help.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    methods: ClassVar[tuple[str, ...]]
    metrics: ClassVar[tuple[Metric, ...]]
    default_sizes: ClassVar[Mapping[str, tuple[int, ...]]]
    Recipe: type[R]
    Options: type[O]
    sample_recipe: ClassVar[str]
    recipes: ClassVar[Mapping[str, str]] = {}
    datasets: ClassVar[Mapping[str, str]] = {}
    samples: ClassVar[Mapping[str, tuple[int, int]]] = {}
    trained_on: ClassVar[Mapping[str, str]] = {}
    beside_data: ClassVar[tuple[str, ...]] = ()
    counted_input: ClassVar[str] = "one image"
    backbone_word: ClassVar[str] = "backbone"
    predictions: ClassVar[str] = ""
    has_classes: ClassVar[bool] = False
    has_confusions: ClassVar[bool] = False
    takes_channels: ClassVar[bool] = False
    channels_last: ClassVar[bool] = False
    backbone_module: ClassVar[str] = ""
    graph_part: ClassVar[str] = ""
    example: ClassVar[str] = "--variant xt"

    def backbones(self) -> Collection[str]:
        """The names that a subject's backbone may have; every network that timm knows."""
        return backbones()

    def data_of(self, subject: Subject, stated: str = "") -> str:
        """What records call the data behind a figure; empty where nothing says it.

        Args:
            subject: Its network.
            stated: What the figure's row says; empty for the task's own.
        """
        return stated or self.datasets.get(subject.method, "")

    def default_recipe(self, subject: Subject) -> str:
        """The recipe that a training of this subject follows on data other than the sample."""
        return self.sample_recipe

    @abstractmethod
    def build(self, subject: Subject) -> nn.Module:
        """Builds the network with random weights; valid under ``torch.device("meta")``.

        Raises:
            UserError: The backbone is unknown, or an option does not fit.
        """

    def example_inputs(self, subject: Subject, batch_size: int = 1) -> tuple[Tensor, ...]:
        """Random images ``(batch_size, C, H, W)`` for one forward pass, on the default device."""
        import torch

        return (torch.randn(batch_size, input_channels(subject), *subject.input_size),)

    def training_example(self, subject: Subject, batch_size: int) -> tuple[Trained, dict[str, Any]]:
        """The network with a loss, and random data to train on, all on the default device.

        Raises:
            UserError: The task has no such data.
        """
        raise UserError(f"{self.name} has no random data to train on")

    @classmethod
    def has_training_example(cls) -> bool:
        """Whether there is a `training_example`, so that a training step can be timed."""
        return cls.training_example is not Task.training_example

    def normalization(self, network: nn.Module, subject: Subject) -> Normalization | None:
        """How the pixels of images become inputs, for whoever uses the weights.

        Args:
            network: As `prepare` or `build` makes it of the subject.
            subject: The network's.

        Returns:
            None where it is the network's own affair.
        """
        return None

    def graph(self, network: nn.Module) -> nn.Module:
        """What another runtime computes of a network: it maps a batch to one tensor or several."""
        return network

    def runtime_notes(self, runtime: str) -> list[str]:
        """What a record of a network in a runtime has to say; see `graph_part`."""
        if runtime == "torch" or not self.graph_part:
            return []
        return [f"{runtime} computes {self.graph_part}, PyTorch the rest"]

    def with_graph(self, network: nn.Module, graph: nn.Module) -> nn.Module:
        """The network, in which another module computes its `graph`."""
        return graph

    def predictor(self, job: Job[R, O], stated: Description | None) -> Predictor:
        """Builds the network and loads its weights, to predict from images without a data set.

        Args:
            job: Network, recipe, weights and the task's options; its ``data`` is empty.
            stated: What the weights say of themselves; None where they say nothing.

        Raises:
            UserError: The weights do not fit, or the task predicts from no images alone.
        """
        raise UserError(
            f"{self.name} predicts from data sets alone, by 'run {self.name} --predictions': its "
            "task has no predictor()"
        )

    @abstractmethod
    def prepare(self, job: Job[R, O]) -> Setup:
        """Opens the data, builds the network and loads its weights.

        The engine has seeded the generators, and makes the loaders and the Runner.

        Raises:
            UserError: Data, network, weights and recipe do not fit together.
        """

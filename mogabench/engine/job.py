"""The settings of a training or an evaluation, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal

from mogabench.engine.options import O, R
from mogabench.errors import UserError, unknown

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.pretraining import Pretraining
    from mogabench.subject import Subject

_AMP = ("float16", "bfloat16")


@dataclass(frozen=True)
class Job(Generic[R, O]):
    """A training or an evaluation.

    Attributes:
        subject: The network, evaluated at ``subject.input_size``.
        recipe: The training set-up; an evaluation takes its preprocessing from it, or from the
            network's own configuration where it is None.
        data: The data set's folder, ``sample``, or another name that the task knows.
        options: The options that the task itself declares.
        work_dir: Where checkpoints, curve and pictures go; None keeps nothing (evaluation only).
        weights: A checkpoint to start from.
        pretraining: What the training behind the figure started from, where the user knows.
        ema: Whether to take the averaged weights where ``weights`` has those and the others.
        new_head: Whether to train a new head, for other classes, in place of that of ``weights``.
        train: Whether to train before evaluating.
        resume: Whether to go on from the checkpoint in ``work_dir``.
        device: ``cpu``, ``cuda`` or ``cuda:1``.
        amp: The autocast type, ``float16`` or ``bfloat16``; None for float32 throughout.
        channels_last: Whether weights and images are laid out as NHWC.
        compile: Whether the network goes through ``torch.compile``.
        runtime: What the network is evaluated in, ``torch`` or another of
            `mogabench.runtimes.RUNTIMES`, into whose format it is exported in its fused form.
        batch_size: Samples per forward pass and device. Training accumulates gradients up to the
            recipe's batch size; None takes that at once, and in evaluation the task's own number.
        workers: Processes that load data, per device.
        on_bad_image: What becomes of an image that cannot be read: ``skip`` replaces it in training
            and leaves it out of the evaluation, ``fill`` takes what there is of a truncated one
            and skips the others, ``fail`` ends the run. All tasks skip by default, since a damaged
            file should end no training of days; the log and the record name what was skipped.
        seed: Seeds initial weights, order, augmentation and dropout.
        predictions: The file that the predictions of the last evaluation go to; None keeps none.
        confusion: The CSV file that its confusion matrix goes to; None keeps none.
        quiet: Plain lines instead of a progress bar.
        save_seconds: Longest time between two checkpoints; one more ends each epoch.
        deadline: The time, of `time.monotonic`, by which training and evaluation are to end: a
            shorter schedule is chosen where the recipe's does not fit. None leaves it as it is.
    """

    subject: Subject
    recipe: R | None
    data: str
    options: O
    work_dir: Path | None = None
    weights: Path | None = None
    pretraining: Pretraining | None = None
    ema: bool = True
    new_head: bool = False
    train: bool = False
    resume: bool = False
    device: str = "cpu"
    amp: str | None = None
    channels_last: bool = False
    compile: bool = False
    runtime: str = "torch"
    batch_size: int | None = None
    workers: int = 2
    on_bad_image: Literal["skip", "fill", "fail"] = "skip"
    seed: int = 42
    predictions: Path | None = None
    confusion: Path | None = None
    quiet: bool = False
    save_seconds: float = 600.0
    deadline: float | None = None

    def __post_init__(self) -> None:
        if self.amp is not None and self.amp not in _AMP:
            raise unknown("autocast type", self.amp, _AMP)
        if self.batch_size is not None and self.batch_size < 1:
            raise UserError(f"--batch-size {self.batch_size} is not a positive number")
        if self.workers < 0:
            raise UserError(
                f"--workers {self.workers} is negative; 0 loads data in the main process"
            )
        if not (self.train or self.weights):
            raise UserError("--data needs --weights FILE to evaluate, or --train to train")
        if self.train and self.pretraining and (self.pretraining == "none") == bool(self.weights):
            raise UserError(
                f"--pretraining {self.pretraining}: the training begins with "
                f"{'--weights' if self.weights else 'random weights, as there is no --weights'}"
            )
        if (self.resume or self.new_head) and not self.train:
            raise UserError("--resume and --new-head are for training: add --train")
        if self.deadline is not None and (self.resume or not self.train):
            raise UserError(
                "--time-budget chooses the length of a new training: add --train; --resume goes on "
                "with --set schedule.epochs=N, as the first run stated it"
            )
        if self.runtime != "torch":
            self._check_runtime()
        if self.train and self.amp == "float16" and self.device == "cpu":
            raise UserError("training in float16 needs a GPU; --amp bfloat16 works on the CPU")

    def _check_runtime(self) -> None:
        from mogabench.runtimes import check_runtime

        kind = check_runtime(self.runtime, self.amp or "float32")
        where = "on the CPU" if kind.device == "cpu" else "on a GPU"
        refused = {"--train": self.train, "--compile": self.compile}
        refused |= {"--channels-last": self.channels_last}
        for option, is_given in refused.items():
            if is_given:
                raise UserError(f"--runtime {self.runtime} evaluates {where}, without {option}")
        if self.device.partition(":")[0] != kind.device:  # which --device auto may have chosen
            raise UserError(f"--runtime {self.runtime} evaluates {where}, not on {self.device}")

    def network_subject(self, classes: int | None = None) -> Subject:
        """What to build: the subject for the data's classes and, in training, with its drop path.

        Args:
            classes: How many the data has; None where it does not say, or has none.

        Raises:
            UserError: The subject's options ask for another number of classes, or for another
                drop path than the recipe.
        """
        options: dict[str, Any] = dict(self.subject.options)
        if classes is not None and options.setdefault("num_classes", classes) != classes:
            source = self.data or "the list of their names"
            stating = "--option num_classes" + " or the weights" * (not self.train)
            raise UserError(
                f"the network has {options['num_classes']} classes, but {source} has {classes}: "
                f"{stating} must be for these"
            )
        rate = self.recipe.model.drop_path if self.train and self.recipe else None
        # Also of 0, which is not the default of every network.
        if rate is not None and options.setdefault("drop_path_rate", rate) != rate:
            raise UserError(
                f"--option drop_path_rate={options['drop_path_rate']} contradicts the recipe's "
                f"drop path of {rate}; --set model.drop_path={options['drop_path_rate']} changes it"
            )
        return self.subject.model_copy(update={"options": tuple(options.items())})

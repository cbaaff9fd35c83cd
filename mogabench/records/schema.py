"""The record: the measured values of one subject, and all it takes to measure them again."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mogabench.pretraining import Pretraining
from mogabench.subject import Subject

SCHEMA_VERSION: Literal[1] = 1

FEWEST_ITERATIONS = {"spread": 64, "latency_p90": 64, "latency_p99": 662}
"""Iterations from which on a value that rests on a percentile is known at all.

They are those of the early stopping of MLPerf's LoadGen: from there on the second longest iteration
lies above the percentile with 99 % confidence. The spread rests on the 10th and the 90th one.
"""


_ID_DIGITS = 12


def _escape_bytes(text: Any) -> Any:
    r"""Text in which bytes that are not UTF-8 are written ``\xff``; JSON cannot hold them."""
    if not isinstance(text, str):
        return text
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


Text = Annotated[str, BeforeValidator(_escape_bytes)]
"""What may hold the name of a file."""


class Kind(StrEnum):
    """What the values of a record describe."""

    COMPLEXITY = "complexity"
    THROUGHPUT = "throughput"
    """Of inference."""
    TRAIN_STEP = "train_step"
    QUALITY = "quality"
    INTERACTION = "interaction"
    ACTIVATION_MAP = "activation_map"
    RECEPTIVE_FIELD = "receptive_field"
    CHANNEL_ENERGY = "channel_energy"


_NEEDED = {
    Kind.COMPLEXITY: (
        *("parameters", "trainable_parameters", "operations_paper"),
        *("activations", "peak_activation_memory"),
    ),
    Kind.THROUGHPUT: ("throughput",),
    Kind.TRAIN_STEP: ("throughput",),
}
"""The values that are read of every record of a kind."""

_NEVER_NEGATIVE = (Kind.COMPLEXITY, Kind.INTERACTION)
_LARGEST = 1e30
"""No measurement is greater, and sums and squares of it are still numbers."""


class Quantity(BaseModel):
    """A number with its unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
    unit: Annotated[str, Field(max_length=40)]
    """``1`` for counts, ``B`` bytes, ``ms``, ``img/s``, ``%``, ``mm``, …"""


Split = Literal["train", "val", "test"]


class Data(BaseModel):
    """Which data a quality was measured on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Annotated[Text, Field(max_length=200)]
    """``imagenet-1k`` only where the content is recognised; else ``sample-…`` or ``folder:…``."""
    split: Split
    samples: int
    digest: str
    """SHA-256 over the names and labels of the samples."""


class Training(BaseModel):
    """What weights were trained on, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data: Data
    epochs: int
    steps: int
    """Updates of the weights."""
    batch_size: int
    """Samples behind an update."""


class Provenance(BaseModel):
    """Where a number came from."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    command: Text
    commit: str | None = None
    dirty: bool | None = None
    packages: dict[str, str] = Field(default_factory=dict)
    code: dict[str, str] | None = None
    """Digests of the project's modules that were measured, and of those that counted."""
    device: str
    driver: str | None = None
    """Of a GPU, ``unknown`` where nothing says its version; None on the CPU."""
    threads: int | None = None
    load: float | None = None
    """Processes that ran or waited on the machine when a time was taken, a minute's average."""
    busy: bool = False
    """Whether the machine was too busy, or throttled, for a time to be that of the network."""
    dtype: str = "float32"
    channels_last: bool = False
    compiled: bool = False
    runtime: str | None = None
    """What ran the network in its fused form; PyTorch, in its own, where there is none."""
    amp: str | None = None
    """The autocast type, where there was one."""
    batch_size: int | None = None
    """Samples per forward pass and device."""
    evaluated_size: tuple[int, ...] | None = None
    """What a quality was evaluated at, where the subject has the size that was counted."""
    seed: int | None = None
    optimizer: str | None = None
    """What updated the weights in a training step that was timed."""
    recipe: str | None = None
    """The recipe behind the weights."""
    recipe_changes: dict[str, Any] | None = None
    """The recipe's settings that ``--set`` changed, such as ``{"optimizer.lr": 5e-4}``."""
    recipe_digest: str | None = None
    weights: Annotated[str, Field(pattern=r"^\w[\w. -]*$", max_length=64)] | None = None
    """SHA-256 of the file of the weights that were evaluated."""
    initial_weights: str | None = None
    """SHA-256 of the file that a training started from; None from scratch."""
    pretraining: Pretraining | Literal["unknown"] | None = None
    """What the training of the weights started from.

    ``unknown``: trained by this project from weights without stated pretraining. None: weights
    trained elsewhere without stated pretraining.
    """
    training: Training | None = None
    """Where the weights were trained in the same run."""
    trained_on: str | None = None
    """The training data that the metadata of weights of an earlier run states; None without."""
    data: Data | None = None
    started: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0

    @property
    def machine(self) -> str:
        """What a time was taken on: ``NVIDIA H200`` or ``AMD EPYC (2 cores), 1 thread``."""
        if self.driver is not None or self.threads is None:
            return self.device
        return f"{self.device}, {self.threads} thread{'s' * (self.threads != 1)}"

    @property
    def started_from(self) -> Pretraining | None:
        """`pretraining`, also of records from before it was kept; None where it is not known."""
        if self.pretraining is None and self.training is not None and self.initial_weights is None:
            return "none"
        return None if self.pretraining == "unknown" else self.pretraining

    @property
    def training_data(self) -> str | None:
        """The name of what the weights were trained on, in this run or before; None if unknown."""
        return self.trained_on if self.training is None else self.training.data.name


class Record(BaseModel):
    """One line of ``results/records/*.jsonl``."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = SCHEMA_VERSION
    subject: Subject
    kind: Kind
    values: dict[str, Quantity]
    """By name, each with its unit.

    - Complexity: ``parameters``, ``trainable_parameters`` and ``activations`` (numbers);
      ``operations_paper``, ``operations_matmul`` and ``operations_fvcore`` (MAC);
      ``peak_activation_memory`` (B).
    - Throughput, of inference or training steps: ``throughput`` (img/s, of video seq/s);
      ``latency_p50`` and other percentiles, and the roofline bound ``floor`` (ms); ``peak_memory``
      (B).
    - Quality: the task's metrics, such as ``top1`` (%).
    - Others: what the analysis measured.
    """
    notes: list[Text] = Field(default_factory=list)
    """What a reader of the numbers must know, such as operators that were not counted."""
    provenance: Provenance

    @model_validator(mode="after")
    def _counts_and_strengths_are_not_negative(self) -> Self:
        negative = [name for name, item in self.values.items() if item.value < 0]
        if negative and self.kind in _NEVER_NEGATIVE:
            raise ValueError(f"{negative[0]} of a record of {self.kind} is negative")
        return self

    @model_validator(mode="after")
    def _has_what_is_read_of_it(self) -> Self:
        # profile divides the floor by latency_p50.
        needed = (*_NEEDED.get(self.kind, ()), *["latency_p50"] * ("floor" in self.values))
        for name in needed:
            if name not in self.values:
                raise ValueError(f"a record of {self.kind} lacks {name}")
        return self

    @model_validator(mode="after")
    def _drop_percentiles_of_few_iterations(self) -> Self:
        """Drops percentiles of too few iterations, which old records still hold."""
        iterations = self.values.get("iterations")
        if iterations is not None:
            for name, fewest in FEWEST_ITERATIONS.items():
                if iterations.value < fewest:
                    self.values.pop(name, None)
        return self

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits by which the record can be named: a digest of its content.

        What is not said, or is as by default, is left out, so that a new field of the schema
        changes no record's id.
        """
        content = self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]

    def line(self) -> str:
        """The record as one line of JSON, without the newline."""
        return self.model_dump_json(exclude_none=True)

    def same_setup(
        self, *, dataset: str | None = None, on_gpu: bool | None = None, **wanted: Any
    ) -> bool:
        """Whether the provenance has these values, such as ``dtype="bfloat16"``.

        Args:
            dataset: The name of the data the record must have been measured on.
            on_gpu: Whether it must have been measured on a GPU; None for either.
            **wanted: Fields of the provenance and their values.
        """
        found = self.provenance
        if dataset is not None and (found.data is None or found.data.name != dataset):
            return False
        if on_gpu not in (None, found.driver is not None):
            return False
        return all(getattr(found, name) == value for name, value in wanted.items())

    def repeats(self, other: Record) -> bool:
        """Whether the two differ in nothing but when, how long and by which command they ran."""
        of_the_run = {"provenance": {"command", "started", "seconds"}}
        one, two = (r.model_dump(mode="json", exclude=of_the_run) for r in (self, other))
        return one == two

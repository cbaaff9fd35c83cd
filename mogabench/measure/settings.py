"""How a throughput is measured, and what comes of it; known without importing torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

from mogabench.errors import UserError, unknown

Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "bfloat16", "float16"]

FIRST_BATCH: dict[Device, int] = {"cuda": 256, "cpu": 8}
"""The batch size that ``auto`` starts at."""

_LEAST = {
    "batch_size": 1,
    "threads": 1,
    "min_iterations": 1,
    "warmup_seconds": 0.0,
    "min_seconds": 0.0,
    "max_seconds": 0.0,
}
"""The smallest value of each number; seconds may have a fraction."""

LARGEST_THAT_FITS = "the batch is the largest that fits"
"""How the note begins where ``auto`` came to a smaller one."""


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        train_step: Whether a step is one of training; else it is a forward pass of inference.
        device: Where the network runs.
        dtype: In inference, weights and inputs are converted to it. In training, and of what a
            runtime leaves to PyTorch, weights stay in float32, and another type is autocast's.
        channels_last: Whether weights and inputs are laid out as NHWC.
        compile: Whether the network goes through ``torch.compile``.
        runtime: What runs the network: ``torch``, as it is built, or another of
            `mogabench.runtimes.RUNTIMES`, in its fused form.
        batch_size: Images per step; ``auto`` starts at 256 on a GPU and 8 on a CPU, and halves
            while memory does not suffice.
        warmup_seconds: Untimed steps go on for this long, once compiling is done.
        min_iterations: Time at least this many steps …
        min_seconds: … and go on for at least this long …
        max_seconds: … and then until the median is known well enough, or for this long at most.
        threads: Threads of one operator on the CPU; None leaves it to PyTorch.
        seed: Seed of the random weights and inputs.

    Raises:
        UserError: One of them is not right.
    """

    train_step: bool = False
    device: Device = "cpu"
    dtype: Dtype = "float32"
    channels_last: bool = False
    compile: bool = False
    runtime: str = "torch"
    batch_size: int | Literal["auto"] = "auto"
    warmup_seconds: float = 2.0
    min_iterations: int = 30
    min_seconds: float = 5.0
    max_seconds: float = 30.0
    threads: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, valid in (("device", get_args(Device)), ("dtype", get_args(Dtype))):
            if getattr(self, name) not in valid:
                raise unknown(name, str(getattr(self, name)), valid)
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if (name, value) in (("batch_size", "auto"), ("threads", None)):
                continue
            kind = "number" if isinstance(least, float) else "whole number"
            is_kind = isinstance(value, int | type(least))
            if not is_kind or not least <= value < inf:
                raise UserError(f"{name} {value!r}: give a {kind} from {least:g} on")
        if self.max_seconds < self.min_seconds:
            raise UserError(
                f"--max-seconds {self.max_seconds:g} is less than --min-seconds "
                f"{self.min_seconds:g}: give more"
            )

    @property
    def amp(self) -> str | None:
        """The autocast type, where there is one."""
        return self.dtype if self.train_step and self.dtype != "float32" else None

    @property
    def weights_dtype(self) -> str:
        """The type of the weights."""
        return "float32" if self.train_step else self.dtype


def set_up_name(
    dtype: str,
    *,
    compiled: bool,
    channels_last: bool,
    runtime: str | None = None,
    amp: str | None = None,
    train_step: bool = False,
) -> str:
    """A set-up in words, such as ``bfloat16 compiled channels-last`` or ``float32 openvino``.

    Args:
        dtype: The type of the weights.
        compiled: Whether the network went through ``torch.compile``.
        channels_last: Whether it is laid out as NHWC.
        runtime: What runs it; None is PyTorch.
        amp: The autocast type.
        train_step: Whether a step is one of training.
    """
    if runtime not in (None, "torch"):
        return f"{dtype} {runtime}"
    words = [dtype if amp is None else f"{amp} autocast", "compiled" if compiled else "eager"]
    words += ["channels-last"] * channels_last + ["training step"] * train_step
    return " ".join(words)


@dataclass(frozen=True)
class Round:
    """A few steps of a network whose turn it was.

    Attributes:
        latency: Median time of one step of the whole batch, in milliseconds.
        passes: Timed steps.
        batch_size: Images per step, after any backing off.
        lacked_core: How much of the time the process lacked a core, in %; None on a GPU.
    """

    latency: float
    passes: int
    batch_size: int
    lacked_core: float | None


@dataclass(frozen=True)
class Rates:
    """What a device reached in this process.

    Attributes:
        matrix: Floating-point operations per second in a product of large matrices.
        copy: Bytes read and written per second in a copy of what no cache holds.
    """

    matrix: float
    copy: float


@dataclass(frozen=True)
class Roof:
    """What a figure stands beside; see `mogabench.measure.floor`.

    Attributes:
        matrix_rate: As in `Rates`: the better of those before and after the figure.
        copy_rate: Likewise.
        rate_change: By how much the matrix rate was higher after it than before, in %.
        floor: The least time of what was timed at these rates, in milliseconds.
    """

    matrix_rate: float
    copy_rate: float
    rate_change: float
    floor: float


@dataclass(frozen=True)
class Throughput:
    """What was measured.

    Attributes:
        throughput: Batch size over the median latency; sequences, not their frames, where
            an input is a sequence.
        latency_p50: Median time of one step on the whole batch, in milliseconds.
        latency_p90: 90th percentile, in milliseconds; None where there are too few iterations for
            it, here and in the next two (see `mogabench.records.FEWEST_ITERATIONS`).
        latency_p99: 99th percentile, in milliseconds.
        spread: Half the distance between the 10th and the 90th percentile, as % of the median.
        median_error: Half the 95 % confidence interval of the median, as % of the median; None
            where there are fewer than six iterations.
        lacked_core: How much of the time that was measured the process lacked a core, in %; None
            on a GPU. See `mogabench.measure.cores`.
        peak_memory: Highest use of memory in bytes, as the device's meter defines it (see
            `mogabench.measure.device`); None where it cannot be read.
        batch_size: Images per step, after any backing off.
        iterations: Timed steps.
        seconds: Their times added up.
        compile_seconds: Time of the first step of a compiled network; short where
            PyTorch's cache knows the network from an earlier run. None in eager mode.
        device: The device's name.
        driver: The version of the GPU's driver, where there is one.
        threads: Threads of one operator on the CPU.
        notes: What a reader of the numbers must know.
    """

    throughput: float
    latency_p50: float
    latency_p90: float | None
    latency_p99: float | None
    spread: float | None
    median_error: float | None
    lacked_core: float | None
    peak_memory: int | None
    batch_size: int
    iterations: int
    seconds: float
    compile_seconds: float | None
    device: str
    driver: str | None
    threads: int
    notes: tuple[str, ...] = ()

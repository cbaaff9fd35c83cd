"""A process of its own for each measurement, so that neither memory nor compiled code leaks.

Here is the parent; `mogabench.measure.child` says what the child answers. Only the child imports
torch, but for a check of another runtime.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self

from pydantic import BaseModel, TypeAdapter

from mogabench.errors import UserError
from mogabench.measure.settings import Roof, Round, Settings, Throughput, set_up_name
from mogabench.measure.trust import disturbances, warning_lines
from mogabench.records import Kind, Quantity, Record, provenance
from mogabench.subject import Subject
from mogabench.tasks import get_task

COMMAND = (sys.executable, "-P", "-m", "mogabench.measure.child")
ANSWER = TypeAdapter(tuple[Throughput, Roof, dict[str, str]])
ROUND = TypeAdapter(Round)
_UNITS = {
    "latency_p50": "ms",
    "latency_p90": "ms",
    "latency_p99": "ms",
    "spread": "%",
    "median_error": "%",
    "lacked_core": "%",
    "peak_memory": "B",
    "iterations": "1",
    "seconds": "s",
    "compile_seconds": "s",
    "matrix_rate": "FLOP/s",
    "copy_rate": "B/s",
    "rate_change": "%",
    "floor": "ms",
}


class MeasurementError(UserError):
    """The child could not answer; the message says which network, and why."""


class Request(BaseModel):
    """What the child is asked to measure, and the packages it has to import first."""

    subject: Subject
    settings: Settings
    packages: tuple[str, ...] = ()
    in_rounds: bool = False
    export_to: Path | None = None
    """Where to write the network for its runtime, instead of measuring it."""

    @property
    def kind(self) -> Kind:
        """What is measured."""
        return Kind.TRAIN_STEP if self.settings.train_step else Kind.THROUGHPUT

    @property
    def name(self) -> str:
        """The network and its set-up in words."""
        how = self.settings
        set_up = set_up_name(
            how.weights_dtype,
            compiled=how.compile,
            channels_last=how.channels_last,
            runtime=how.runtime,
            amp=how.amp,
            train_step=how.train_step,
        )
        return f"{self.subject.backbone} {set_up}"


def check_request(request: Request) -> None:
    """Refuses what would be timed as something else than its record says.

    Raises:
        UserError: The task has no random data to train on, or the runtime or the device does not
            do what the settings say.
    """
    if request.settings.train_step:
        _check_training(request.subject.task, request.settings)
    if request.settings.runtime != "torch":
        _check_runtime(request.settings)


def measure_in_subprocess(request: Request) -> Record:
    """Measures in a child process and returns the record, which the caller stores.

    An interrupt (Ctrl-C) stops the child before it reaches the caller.

    Raises:
        UserError: It cannot be measured, as `check_request` says.
        MeasurementError: The child failed or was killed.
    """
    check_request(request)
    started = datetime.now(UTC)
    load = round(os.getloadavg()[0], 2)
    child = subprocess.run(
        COMMAND,
        input=request.model_dump_json() + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        raise MeasurementError(f"{request.subject.backbone}: {reason(child)}")
    found, roof, code = ANSWER.validate_json(child.stdout)
    return _record(request, found, roof, code, load=load, started=started)


class Contestant:
    """A child process that holds a network, and times a round of passes when it is its turn.

    Use it as a context, which ends the process.

    Args:
        request: What to measure.

    Raises:
        MeasurementError: The child failed or was killed; so do its methods.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._errors = TemporaryFile("w+")  # noqa: SIM115 — `__exit__` closes it
        self._child = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.communicate()
        self._errors.close()

    def get_ready(self) -> Round:
        """Builds the network and warms it up; the round tells what a round is like."""
        request = self._request.model_copy(update={"in_rounds": True})
        return self._ask(request.model_dump_json())

    def take_turn(self) -> Round:
        """Times a round."""
        return self._ask("")

    def _ask(self, question: str) -> Round:
        assert self._child.stdin is not None and self._child.stdout is not None
        with suppress(BrokenPipeError):  # it has died, as its answer will tell
            print(question, file=self._child.stdin, flush=True)
        answer = self._child.stdout.readline()
        if not answer.endswith("\n"):
            status = self._child.wait()
            self._errors.seek(0)
            ended = subprocess.CompletedProcess(COMMAND, status, answer, self._errors.read())
            raise MeasurementError(f"{self._request.subject.backbone}: {reason(ended)}")
        return ROUND.validate_json(answer)


def reason(child: subprocess.CompletedProcess[str]) -> str:
    """Why a child ended with an error."""
    if child.returncode == -signal.SIGKILL:
        return "its process was killed, probably for lack of memory; try a smaller --batch-size"
    if child.returncode < 0:
        return f"its process died of {signal.Signals(-child.returncode).name}"
    if child.stdout:
        return child.stdout
    last_words = child.stderr.strip().rpartition("\n")[2]
    return f"its process ended with status {child.returncode}: {last_words}"


def _check_training(task_name: str, settings: Settings) -> None:
    from mogabench.tasks import tasks

    able = [name for name, task in tasks().items() if task.has_training_example()]
    if task_name not in able:
        raise UserError(
            f"--train-step is for {', '.join(able)}: {task_name} has no random data to train on"
        )
    if settings.runtime != "torch":
        raise UserError(f"--runtime {settings.runtime} does not train: leave out --train-step")
    if (settings.device, settings.dtype) == ("cpu", "float16"):
        raise UserError("training in float16 needs a GPU; --dtype bfloat16 works on the CPU")


def _check_runtime(settings: Settings) -> None:
    from mogabench.runtimes import check_runtime

    kind = check_runtime(settings.runtime, settings.dtype)
    if settings.compile or settings.channels_last:
        raise UserError(f"--runtime {settings.runtime} has no --compile and no --channels-last")
    if settings.device != kind.device:
        where = "on the CPU, without --gpu" if kind.device == "cpu" else "on a GPU: add --gpu"
        raise UserError(f"--runtime {settings.runtime} runs {where}")


def _record(
    request: Request,
    found: Throughput,
    roof: Roof,
    code: dict[str, str],
    *,
    load: float,
    started: datetime,
) -> Record:
    settings = request.settings
    units = {"throughput": _speed_unit(request.subject), **_UNITS}
    known = vars(found) | vars(roof)
    values = {name: known[name] for name in units if known[name] is not None}
    record = Record(
        subject=request.subject,
        kind=request.kind,
        values={name: Quantity(value=value, unit=units[name]) for name, value in values.items()},
        notes=[*found.notes, *get_task(request.subject.task).runtime_notes(settings.runtime)],
        provenance=provenance(
            device=found.device,
            driver=found.driver,
            threads=found.threads,
            code=code,
            load=load,
            busy=bool(disturbances(values)),
            dtype=settings.weights_dtype,
            amp=settings.amp,
            optimizer="adamw" if settings.train_step else None,
            channels_last=settings.channels_last,
            compiled=settings.compile,
            runtime=None if settings.runtime == "torch" else settings.runtime,
            batch_size=found.batch_size,
            seed=settings.seed,
            started=started,
            seconds=(datetime.now(UTC) - started).total_seconds(),
        ),
    )
    record.notes += warning_lines(record)
    return record


def _speed_unit(subject: Subject) -> str:
    """Images, or sequences of them where the input has frames before channels and pixels."""
    return "seq/s" if len(subject.input_size) == 4 else "img/s"

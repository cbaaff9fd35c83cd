"""A process of its own for each measurement, so that neither memory nor compiled code leaks.

Both ends of the pipe are here. The parent writes a `Request` to the child's standard input; the
child answers on its standard output with a line that holds a `Throughput` and status 0, or with
text that says what went wrong, without an end of line, and status 1. Asked for rounds, it answers
with a `Round` when it is ready, and with another for each further line. Only the child imports
torch.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, TypeAdapter

from mogabench.catalogue import import_packages
from mogabench.errors import UserError
from mogabench.measure.settings import Roof, Round, Settings, Throughput, set_up_name
from mogabench.measure.trust import disturbances, doubts
from mogabench.records import Kind, Quantity, Record, provenance
from mogabench.subject import Subject
from mogabench.tasks import get_task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

_COMMAND = (sys.executable, "-P", "-m", "mogabench.measure.worker")
_ANSWER = TypeAdapter(tuple[Throughput, Roof, dict[str, str]])
_ROUND = TypeAdapter(Round)
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

    @property
    def name(self) -> str:
        """The network and its set-up in words."""
        how = self.settings
        set_up = set_up_name(
            how.dtype,
            compiled=how.compile,
            channels_last=how.channels_last,
            runtime=how.runtime,
        )
        return f"{self.subject.backbone} {set_up}"


def measure_in_subprocess(request: Request) -> Record:
    """Measures in a child process and returns the record, which the caller stores.

    An interrupt (Ctrl-C) stops the child before it reaches the caller.

    Raises:
        MeasurementError: The child failed or was killed.
    """
    started = datetime.now(UTC)
    load = round(os.getloadavg()[0], 2)
    child = subprocess.run(
        _COMMAND,
        input=request.model_dump_json() + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        raise MeasurementError(f"{request.subject.backbone}: {_reason(child)}")
    found, roof, code = _ANSWER.validate_json(child.stdout)
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
            _COMMAND,
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
            ended = subprocess.CompletedProcess(_COMMAND, status, answer, self._errors.read())
            raise MeasurementError(f"{self._request.subject.backbone}: {_reason(ended)}")
        return _ROUND.validate_json(answer)


def _reason(child: subprocess.CompletedProcess[str]) -> str:
    if child.returncode == -signal.SIGKILL:
        return "its process was killed, most likely for want of memory; try a smaller --batch-size"
    if child.returncode < 0:
        return f"its process died of {signal.Signals(-child.returncode).name}"
    if child.stdout:
        return child.stdout
    last_words = child.stderr.strip().rpartition("\n")[2]
    return f"its process ended with status {child.returncode}: {last_words}"


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
        kind=Kind.THROUGHPUT,
        values={name: Quantity(value=value, unit=units[name]) for name, value in values.items()},
        notes=list(found.notes),
        provenance=provenance(
            device=found.device,
            driver=found.driver,
            threads=found.threads,
            code=code,
            load=load,
            busy=bool(disturbances(values)),
            dtype=settings.dtype,
            channels_last=settings.channels_last,
            compiled=settings.compile,
            runtime=None if settings.runtime == "torch" else settings.runtime,
            batch_size=found.batch_size,
            seed=settings.seed,
            started=started,
            seconds=(datetime.now(UTC) - started).total_seconds(),
        ),
    )
    record.notes += doubts(record)
    return record


def _speed_unit(subject: Subject) -> str:
    """Images, or sequences of them where the input has frames before channels and pixels."""
    return "seq/s" if len(subject.input_size) == 4 else "img/s"


def _answers(request: Request) -> Iterator[str]:
    """The lines that answer a request, and those that ask for more rounds."""
    import torch

    from mogabench.measure.code import network_code
    from mogabench.measure.floor import roof, work_of
    from mogabench.measure.rates import choose_side, measure_rates
    from mogabench.measure.throughput import measure, measure_rounds, prepare

    import_packages(list(request.packages))
    subject, settings, task = request.subject, request.settings, get_task(request.subject.task)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    with torch.device("meta"):  # imports the network's libraries, which are no part of its memory
        network = task.build(subject).eval()
        work = work_of(network, *task.example_inputs(subject))
    arguments = (
        lambda: _network(subject, settings),
        lambda batch_size: task.example_inputs(subject, batch_size),
        settings,
    )
    if not request.in_rounds:
        of_device = settings.device, settings.dtype, choose_side(settings.device, settings.dtype)
        before = measure_rates(*of_device)
        found = measure(*arguments)
        after = measure_rates(*of_device)
        beside = roof(work, found.batch_size, settings.dtype, before, after)
        yield _ANSWER.dump_json((found, beside, network_code(subject, network))).decode()
        return
    for turn in measure_rounds(prepare(*arguments), settings):
        yield _ROUND.dump_json(turn).decode()
        if not sys.stdin.readline():
            return


def _network(subject: Subject, settings: Settings) -> nn.Module:
    """The subject's network as the settings' runtime computes it."""
    from mogabench.export import in_runtime

    task = get_task(subject.task)
    network = task.build(subject)
    if settings.runtime == "torch":
        return network
    (image,) = task.example_inputs(subject)
    graph = task.graph(network.eval())
    return task.with_graph(
        network, in_runtime(graph, image, settings.runtime, dtype=settings.dtype)
    )


def main() -> None:
    """Answers a request; what libraries print to standard output goes to standard error."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answer:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        try:
            request = Request.model_validate_json(sys.stdin.readline())
            for line in _answers(request):
                print(line, file=answer, flush=True)
        except UserError as error:
            answer.write(str(error))
            sys.exit(1)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            first_line = str(error).strip().partition("\n")[0]
            answer.write(f"{type(error).__name__}: {first_line} ({where.filename}:{where.lineno})")
            sys.exit(1)


if __name__ == "__main__":
    main()

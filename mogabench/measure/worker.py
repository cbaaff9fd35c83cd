"""A process of its own for each measurement, so that neither memory nor compiled code leaks.

Both ends of the pipe are here. The parent writes a `Request` to the child's standard input; the
child answers on its standard output with a `Throughput` and status 0, or with one line that says
what went wrong and status 1. Only the child imports torch.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from datetime import UTC, datetime

from pydantic import BaseModel, TypeAdapter

from mogabench.catalogue import import_packages
from mogabench.errors import UserError
from mogabench.measure.settings import Settings, Throughput
from mogabench.measure.trust import MOST_LACKED_CORE, doubts
from mogabench.records import Kind, Quantity, Record, provenance
from mogabench.subject import Subject
from mogabench.tasks import get_task

_ANSWER = TypeAdapter(tuple[Throughput, dict[str, str]])
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
}


class MeasurementError(UserError):
    """The child could not answer; the message says which network, and why."""


class Request(BaseModel):
    """What the child is asked to measure, and the packages it has to import first."""

    subject: Subject
    settings: Settings
    packages: tuple[str, ...] = ()


def measure_in_subprocess(request: Request) -> Record:
    """Measures in a child process and returns the record, which the caller stores.

    An interrupt (Ctrl-C) stops the child before it reaches the caller.

    Raises:
        MeasurementError: The child failed or was killed.
    """
    started = datetime.now(UTC)
    load = round(os.getloadavg()[0], 2)
    child = subprocess.run(
        [sys.executable, "-P", "-m", "mogabench.measure.worker"],
        input=request.model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        raise MeasurementError(f"{request.subject.backbone}: {_reason(child)}")
    found, code = _ANSWER.validate_json(child.stdout)
    return _record(request, found, code, load=load, started=started)


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
    request: Request, found: Throughput, code: dict[str, str], *, load: float, started: datetime
) -> Record:
    settings = request.settings
    units = {"throughput": _speed_unit(request.subject), **_UNITS}
    values = {name: getattr(found, name) for name in units}
    record = Record(
        subject=request.subject,
        kind=Kind.THROUGHPUT,
        values={
            name: Quantity(value=value, unit=units[name])
            for name, value in values.items()
            if value is not None
        },
        notes=list(found.notes),
        provenance=provenance(
            device=found.device,
            driver=found.driver,
            threads=found.threads,
            code=code,
            load=load,
            busy=found.lacked_core is not None and found.lacked_core > MOST_LACKED_CORE,
            dtype=settings.dtype,
            channels_last=settings.channels_last,
            compiled=settings.compile,
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


def _answer(request: Request) -> tuple[Throughput, dict[str, str]]:
    import torch

    from mogabench.measure.code import network_code
    from mogabench.measure.throughput import measure

    import_packages(list(request.packages))
    subject, task = request.subject, get_task(request.subject.task)
    with torch.device("meta"):
        network = task.build(subject)  # imports its libraries, which are no part of its memory
    found = measure(
        lambda: task.build(subject),
        lambda batch_size: task.example_inputs(subject, batch_size),
        request.settings,
    )
    return found, network_code(subject, network)


def main() -> None:
    """Answers one request; what libraries print to standard output goes to standard error."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answer:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        try:
            request = Request.model_validate_json(sys.stdin.read())
            answer.write(_ANSWER.dump_json(_answer(request)).decode())
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

"""The child process of a measurement; `mogabench.measure.worker` is its parent.

It reads a `Request` from its standard input, and answers on its standard output with a line that
holds what was measured and status 0, or with text that says what went wrong, without an end of
line, and status 1. Asked for rounds, it answers with a `Round` when it is ready, and with another
for each further line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

from mogabench.catalogue import import_packages
from mogabench.errors import UserError
from mogabench.layers.fusion import fuse
from mogabench.measure.code import network_code
from mogabench.measure.floor import roof, work_of
from mogabench.measure.rates import choose_side, measure_rates
from mogabench.measure.steps import inference_step, training_step
from mogabench.measure.throughput import measure, measure_rounds, prepare
from mogabench.measure.worker import ANSWER, COMMAND, ROUND, Request, reason
from mogabench.processes import die_with_parent
from mogabench.runtimes import FORMATS, RUNTIMES, check_runtime, export
from mogabench.tasks import get_task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from mogabench.measure.floor import Work
    from mogabench.measure.steps import MakeStep


def _answers(request: Request) -> Iterator[str]:
    """The lines that answer a request, and those that ask for more rounds."""
    import_packages(list(request.packages))
    if request.export_to is not None:
        _export(request, request.export_to)
        return
    settings = request.settings
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    torch.backends.cudnn.benchmark = True  # takes the fastest algorithms, for the rates as well
    code, work = _look_at(request)
    with TemporaryDirectory(prefix="mogabench-") as folder:
        make_step = _make_step(request, Path(folder))
        if request.in_rounds:
            for turn in measure_rounds(prepare(make_step, settings), settings):
                yield ROUND.dump_json(turn).decode()
                if not sys.stdin.readline():
                    return
        of_device = settings.device, settings.dtype, choose_side(settings.device, settings.dtype)
        before = measure_rates(*of_device)
        found = measure(make_step, settings)
        after = measure_rates(*of_device)
    beside = roof(work, found.batch_size, settings.weights_dtype, before, after)
    yield ANSWER.dump_json((found, beside, code)).decode()


def _look_at(request: Request) -> tuple[dict[str, str], Work]:
    """The code behind what is timed, and its work.

    This imports the libraries of the network, which so are no part of the memory that it takes.
    """
    subject, settings, task = request.subject, request.settings, get_task(request.subject.task)
    with torch.device("meta"):
        timed = network = task.build(subject).eval()
        if settings.train_step:
            timed, _ = task.training_example(subject, 1)
        fused = None if settings.runtime == "torch" else fuse(network)  # as `export` writes it
        work = work_of(network if fused is None else fused, *task.example_inputs(subject))
    code = network_code(subject, timed, fused)
    return code, work.of_training if settings.train_step else work


def _make_step(request: Request, folder: Path) -> MakeStep:
    subject, settings = request.subject, request.settings
    task = get_task(subject.task)
    if settings.train_step:
        return training_step(lambda size: task.training_example(subject, size), settings)
    file = None if settings.runtime == "torch" else _exported(request, folder)
    return inference_step(
        lambda: _network(request, file), lambda size: task.example_inputs(subject, size), settings
    )


def _network(request: Request, file: Path | None) -> nn.Module:
    """The subject's network as the settings' runtime computes it, from a file where it is one."""
    task, settings = get_task(request.subject.task), request.settings
    network = task.build(request.subject)
    if file is None:
        return network
    # PyTorch's threads are those of the rates and of the record.
    threads = torch.get_num_threads()
    graph = RUNTIMES[settings.runtime](file, dtype=settings.dtype, threads=threads)
    return task.with_graph(network, graph)


def _exported(request: Request, folder: Path) -> Path:
    """The subject's graph in a file.

    Another process writes it, as an export leaves several times the network's memory taken.
    """
    kind = check_runtime(request.settings.runtime, request.settings.dtype)
    file = folder / f"network{FORMATS[kind.format].ending}"
    question = request.model_copy(update={"export_to": file}).model_dump_json() + "\n"
    child = subprocess.run(COMMAND, input=question, capture_output=True, text=True, check=False)
    if child.returncode:
        raise UserError(reason(child))
    return file


def _export(request: Request, file: Path) -> None:
    subject, task = request.subject, get_task(request.subject.task)
    torch.manual_seed(request.settings.seed)
    network = task.build(subject).eval()
    for value in network.parameters():
        if value.ndim > 1 and not value.any():  # as of Hiera's head: its outputs compare nothing
            torch.nn.init.normal_(value, std=0.02)
    graph = task.graph(network)
    (image,) = task.example_inputs(subject)
    export(graph, image, file, RUNTIMES[request.settings.runtime].format)


def main() -> None:
    """Answers a request; what libraries print to standard output goes to standard error."""
    die_with_parent()
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

"""Processes that start with PyTorch and the tasks imported, which takes others several seconds.

They are forks of a server that has no threads: forked from the test's own process, in which PyTorch
has some, one could wait for ever.
"""

import multiprocessing
import os
import runpy
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "mogabench.cli",
        "mogabench.engine.run",
        "mogabench.openmmlab",  # its operators, before mmdet and mmseg
        "mmdet.models",
        "mmseg.models",
        *(f"mogabench.tasks.{name}" for name in ("classification", "pose", "mesh", "video")),
    ]
)


def start(function, *arguments):
    """Starts a process that calls a function of the project."""
    process = _SERVER.Process(target=function, args=arguments)
    process.start()
    return process


def start_script(script, **given):
    """Starts a process that runs a file as ``__main__``, with these variables in it.

    The server knows no module of the tests: another package's folder may be called so.
    """
    return start(runpy.run_path, str(script), given | {"__name__": "__main__"}, "__main__")


def start_command(*arguments, out, err, cwd=None, **environment):
    """Starts ``mogabench`` in a session of its own, as a terminal has it; its output goes to files.

    Args:
        arguments: The command line.
        out: Takes standard output.
        err: Takes standard error; may be the same file.
        cwd: The folder that it works in; the test's own without one.
        environment: Variables beside the test's own.
    """
    return start_script(
        Path(__file__).with_name("forked_command.py"),
        arguments=["mogabench", *map(str, arguments)],
        out=str(out),
        err=str(err),
        cwd=str(cwd or Path.cwd()),
        environment=os.environ | environment,
    )


def run_command(*arguments, cwd=None, **environment):
    """Runs ``mogabench`` to its end: see `start_command`."""
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = start_command(*arguments, out=out, err=err, cwd=cwd, **environment)
        process.join()
        return CompletedProcess(arguments, process.exitcode, out.read_text(), err.read_text())

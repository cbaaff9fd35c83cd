"""Processes that start with PyTorch and the tasks imported, which takes others several seconds.

They are forks of a server that has no threads: forked from the test's own process, in which PyTorch
has some, one could wait for ever.
"""

import multiprocessing
import runpy

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "mogabench.engine.run",
        "mogabench.openmmlab",  # its operators, before mmdet and mmseg
        "mmdet.models",
        "mmseg.models",
        *(f"mogabench.tasks.{name}" for name in ("classification", "pose", "mesh", "video")),
    ]
)


def start_script(script, **given):
    """Starts a process that runs a file as ``__main__``, with these variables in it.

    The server knows no module of the tests: another package's folder may be called so.
    """
    given |= {"__name__": "__main__"}
    process = _SERVER.Process(target=runpy.run_path, args=(str(script), given, "__main__"))
    process.start()
    return process

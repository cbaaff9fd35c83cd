"""A job in several processes, each started with torchrun's variables; also the script they run."""

import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

LIMIT_S = 300


def run_on(ranks, job, before=""):
    """Runs a job on so many ranks; what each returned, or the error that it raised.

    Args:
        ranks: Processes.
        job: The job.
        before: Python that each process executes first.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with TemporaryDirectory() as folder:
        given = Path(folder, "job")
        given.write_bytes(pickle.dumps((job, before)))
        files = [Path(folder, str(rank)) for rank in range(ranks)]
        members = [
            subprocess.Popen(
                [sys.executable, __file__, given, file],
                env=os.environ | shared | {"RANK": file.name, "LOCAL_RANK": file.name},
            )
            for file in files
        ]
        try:
            for member in members:
                member.wait(LIMIT_S)
        finally:
            for member in members:
                member.kill()
        return [pickle.loads(file.read_bytes()) for file in files]


def _run(given, file):
    from mogabench.engine.run import run
    from mogabench.tasks import get_task

    job, before = pickle.loads(Path(given).read_bytes())
    exec(before, {})
    try:
        found = run(job, get_task(job.subject.task))
    except Exception as error:
        found = error
    Path(file).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    _run(*sys.argv[1:])

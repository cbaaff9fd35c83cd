"""A job in several processes, each with torchrun's variables."""

import pickle
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.forking import start_script

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
        files = [Path(folder, str(rank)) for rank in range(ranks)]
        members = []
        for file in files:
            variables = shared | {"RANK": file.name, "LOCAL_RANK": file.name}
            script = Path(__file__).with_name("rank.py")
            members.append(
                start_script(script, job=job, before=before, file=file, variables=variables)
            )
        try:
            for member in members:
                member.join(LIMIT_S)
        finally:
            for member in members:
                member.kill()
        return [pickle.loads(file.read_bytes()) for file in files]

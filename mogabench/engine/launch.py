"""The start of a job's processes: by ``--nproc``, by torchrun, or by SLURM's ``srun``."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from tempfile import TemporaryDirectory
from uuid import uuid4

from mogabench.errors import AlreadyReportedError, UserError
from mogabench.processes import count_cores, die_with_parent

_STARTER = "MOGABENCH_STARTER"
"""Names the process that started this one with `start_processes`."""
_FIRST_PORT, _PORTS = 20_000, 10_000
"""Where processes of SLURM meet, by the number of their job."""


def rank() -> int:
    """The number of this process, from 0, as its starter says; 0 where it is alone."""
    return int(os.environ.get("RANK", "0"))


def is_started() -> bool:
    """Whether this process is one of several, or was started as if it were."""
    return "RANK" in os.environ


def adopt_environment() -> None:
    """Takes the environment as torchrun sets it from SLURM, and ends with the process that started.

    Variables of torchrun that are set already stay. Does nothing in a process that is alone.
    """
    starter = os.environ.get(_STARTER)
    if starter is not None and int(starter) == os.getppid():
        die_with_parent(signal.SIGTERM)
    # Those of a step, which srun sets: a batch script, which is alone, has those of its job.
    of_step = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_NODELIST")
    if is_started() or any(name not in os.environ for name in of_step):
        return
    number, count, local, hosts = (os.environ[name] for name in of_step)
    if int(count) == 1:
        return
    port = _FIRST_PORT + int(os.environ.get("SLURM_JOB_ID", "0")) % _PORTS
    found = {"RANK": number, "WORLD_SIZE": count, "LOCAL_RANK": local}
    found |= {"MASTER_ADDR": first_host(hosts), "MASTER_PORT": str(port)}
    os.environ.update({name: os.environ.get(name, value) for name, value in found.items()})


def first_host(hosts: str) -> str:
    """The first one of SLURM's list of hosts, such as ``node03`` of ``node[03-05,8],login``."""
    first = re.split(r",(?![^\[]*\])", hosts)[0]
    return re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", first)


def must_start(count: int, device: str) -> bool:
    """Whether ``--nproc`` asks this process to start others; they have the same command line.

    Args:
        count: Of processes.
        device: ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        UserError: There are other processes than asked for, or fewer GPUs.
    """
    if count < 1:
        raise UserError(f"--nproc {count} is not a positive number")
    if is_started():
        local = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1")))
        if local != count:
            raise UserError(
                f"--nproc {count}, but torchrun or srun has started {local} processes: leave one "
                "of the two out"
            )
        return False
    if device != "cpu":
        from torch import cuda

        if ":" in device:
            raise UserError(f"--nproc takes the first GPUs: leave out --device {device}")
        if count > cuda.device_count():
            raise UserError(
                f"--nproc {count}, but PyTorch sees {cuda.device_count()} GPU(s) on this machine"
            )
    return count > 1


def start_processes(count: int) -> None:
    """Runs this process's command line in several processes, by torchrun's own agent, to the end.

    If one ends by an error or is killed, the agent ends the others.

    Args:
        count: Of processes.

    Raises:
        UserError: One was killed.
        AlreadyReportedError: One ended with an error, and said so.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # of the agent's own affairs
    threads = str(max(count_cores() // count, 1))
    for library in ("OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", threads)
    os.environ[_STARTER] = str(os.getpid())
    with TemporaryDirectory(prefix="mogabench-") as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        command = [sys.executable, "-P", "-m", "mogabench", *sys.argv[1:]]
        try:
            elastic_launch(config, command[0])(*command[1:])
        except ChildFailedError as error:
            number, failure = error.get_first_failure()
            if failure.exitcode < 0:
                raise UserError(
                    f"process {number} of {count} was killed by {failure.signal_name()}, perhaps "
                    "for lack of memory, and the others were ended; --resume goes on from the last "
                    "checkpoint of a training"
                ) from None
            raise AlreadyReportedError(failure.exitcode) from None
        except SignalException as stop:
            raise AlreadyReportedError(128 + stop.sigval) from None
        finally:
            del os.environ[_STARTER]

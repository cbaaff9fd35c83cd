"""The process: its device, the other processes of the job, and the folder it writes to."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import platform
import tempfile
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING

import mmengine.device.utils
import torch

from mogabench.engine.launch import adopt_environment, is_started
from mogabench.engine.processes import join
from mogabench.errors import UserError
from mogabench.machine import find_gpu_fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_LOG = logging.getLogger(__name__)

_LOCK = ".lock"
"""The file in the work folder that a training holds locked."""


def choose_device(name: str) -> str:
    """Resolves ``auto`` and checks that the device is there.

    Args:
        name: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        UserError: There is no such device on this machine, or PyTorch has no code for it.
    """
    if name == "auto":
        fault = find_gpu_fault()
        if fault and torch.cuda.is_available():
            _LOG.warning("mogabench: %s; computing on the CPU", fault)
        return "cpu" if fault else "cuda"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or not (index or "0").isdecimal():
        raise UserError(f"unknown device '{name}' (valid: auto, cpu, cuda, cuda:0, cuda:1, …)")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"--device {name}: PyTorch sees {torch.cuda.device_count() or 'no'} GPU(s) on this "
            "machine; --device cpu works"
        )
    if kind == "cuda" and (fault := find_gpu_fault(int(index or 0))):
        raise UserError(f"--device {name}: {fault}; --device cpu works")
    return name


def enter(device: str) -> None:
    """Makes ``device`` mmengine's own and joins the other processes of the job, if there are any.

    Raises:
        UserError: There are more processes than GPUs, not all came, or several are to use one GPU.
    """
    kind, _, index = device.partition(":")
    # mmengine picks one device for the whole process at import, a GPU if there is any.
    mmengine.device.utils.DEVICE = kind
    adopt_environment()
    if index and is_started():
        raise UserError(f"each process takes its own GPU: leave out --device {device}")
    if kind == "cuda":
        torch.cuda.set_device(_own_gpu() if is_started() else int(index or 0))
    join("nccl" if kind == "cuda" else "gloo")


def _own_gpu() -> int:
    """The GPU of this one of several processes."""
    local, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if count == 1:  # SLURM can show each process its own alone
        os.environ["LOCAL_RANK"] = "0"  # by which mmengine numbers GPUs
        return 0
    if local >= count:
        raise UserError(f"there is no GPU for process {local} of this machine, which has {count}")
    return local


def check_writable(folder: Path) -> None:
    """Makes the folder and tries to write to it.

    Raises:
        UserError: It cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keeps other trainings out of a folder; the system frees it when the process ends.

    Raises:
        UserError: Another process trains there, or the folder cannot be locked.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context((folder / _LOCK).open("a+"))
            is_alone = _try_lock(file)
        except OSError as error:
            raise UserError(f"cannot lock {folder}: {error.strerror}") from error
        if not is_alone:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise UserError(f"{owner} is training in {folder}: choose another --work-dir, or wait")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield


def _try_lock(file: IO[str]) -> bool:
    """Locks a file; False where another process has locked it, for which POSIX has two errors."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not flock: workers would inherit it
    except (BlockingIOError, PermissionError):
        return False
    return True


@contextmanager
def watch_disk(folder: Path) -> Iterator[None]:
    """Turns the error of a disk that is full or fails, whatever is written, into one line.

    Raises:
        UserError: There was no space left, or the disk failed.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"no space left in {folder}; free some, then --resume") from error
        if error.errno in (errno.EIO, errno.EROFS, errno.ESTALE):
            raise UserError(f"cannot write to {folder}: {error.strerror}") from error
        raise

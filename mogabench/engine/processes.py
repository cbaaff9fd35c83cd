"""The processes of one job: they meet, watch each other, and end together with one line."""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from mogabench.console import print_error
from mogabench.errors import AlreadyReportedError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_MEETING_S = 300.0
"""Longest time for all processes to start."""
_BEAT_S = 2.0
"""Between two signs of life."""
_LOST_S = 40.0
"""Without a sign of life, a process counts as lost."""
_LAST_S = 20
"""Longest time that an ending process takes, and that an agent has to end it."""
_DONE, _FAILED = "done", "failed"


class Watch(threading.Thread):
    """Gives and reads signs of life, by a connection of its own to the processes' store.

    A killed process closes its connections, which ends the others' communication by gloo; but NCCL,
    or one that stands still or whose machine is lost, would let them wait for ten minutes.

    Args:
        store: Shared by all; of this thread alone.
        rank: This process.
        world: Processes.
    """

    def __init__(self, store: Store, rank: int, world: int) -> None:
        super().__init__(name="watch", daemon=True)
        self.store, self.rank, self.world = store, rank, world
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.seen = dict.fromkeys((n for n in range(world) if n != rank), ("", time.monotonic()))

    def run(self) -> None:
        """Gives a sign every now and then; ends the process if another one is lost."""
        beats = 0
        while not self.ended.wait(_BEAT_S):
            beats += 1
            try:
                self._publish(str(beats))
                lost = self._lost()
            except RuntimeError:
                lost = 0  # the store is in the first process, or in its agent
            if lost is not None and not self.ended.is_set():
                self._give_up(lost)

    def end(self, *, failed: bool) -> bool:
        """Tells the others that this process ends.

        Returns:
            Whether it is the first one to fail, which says why.
        """
        if self.ended.is_set():
            return False
        self.ended.set()
        try:
            self._publish(_FAILED if failed else _DONE)
            with self.lock:
                first = self.store.compare_set("failed", "", str(self.rank)) if failed else b""
        except RuntimeError:  # the store ended with the first process, unless an agent has it
            return self.rank == 1 and not self._saw_failure()
        return int(first or -1) == self.rank

    def leave(self) -> None:
        """Ends with the process.

        Python ends threads that are still there by force, and one within the store's C++ with the
        whole process.
        """
        self.end(failed=False)
        self.join(2 * _BEAT_S)

    def has_failed(self) -> bool:
        """Whether another process has said why it ends."""
        try:
            return any(self._read(number) == _FAILED for number in self.seen)
        except RuntimeError:
            return self._saw_failure()

    def _saw_failure(self) -> bool:
        return any(sign == _FAILED for sign, _ in self.seen.values())

    def _publish(self, sign: str) -> None:
        with self.lock:
            self.store.set(f"life of {self.rank}", sign)

    def _read(self, number: int) -> str:
        key = f"life of {number}"
        with self.lock:
            return self.store.get(key).decode() if self.store.check([key]) else ""

    def _lost(self) -> int | None:
        """A process that gives no signs any more."""
        now = time.monotonic()
        for number, (before, since) in self.seen.items():
            sign = self._read(number)
            if sign != before:
                self.seen[number] = (sign, now)
            elif sign != _DONE and now - since > (_LAST_S if sign == _FAILED else _LOST_S):
                return number
        return None

    def _give_up(self, lost: int) -> None:
        """Ends the process, whatever its main thread waits for."""
        time.sleep(_BEAT_S)  # an agent may end it before
        if not self.ended.is_set() and self.end(failed=True):
            print_error(_lost(f"process {lost} of {self.world} stopped responding"))
        os._exit(1)


_watch: Watch | None = None


def join(backend: str) -> None:
    """Joins the processes of torchrun, SLURM or ``--nproc``, once, where there are several.

    Args:
        backend: ``gloo`` or ``nccl``.

    Raises:
        UserError: Not all of them came.
    """
    global _watch  # noqa: PLW0603
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or distributed.is_initialized():
        return
    try:
        store, rank, world = next(rendezvous("env://", timeout=timedelta(seconds=_MEETING_S)))
        distributed.init_process_group(backend, store=store, rank=rank, world_size=world)
    except (distributed.DistError, ValueError) as error:
        raise UserError(
            f"the {count} processes could not connect at {os.environ.get('MASTER_ADDR')}:"
            f"{os.environ.get('MASTER_PORT')} within {_MEETING_S:.0f} s: {_first_line(error)}"
        ) from error
    _watch = Watch(PrefixStore("mogabench", store.clone()), rank, world)
    _watch.start()
    atexit.register(_watch.leave)


@contextmanager
def ending_together() -> Iterator[None]:
    """Lets the processes of a job end together, and one of their errors be reported.

    Raises:
        AlreadyReportedError: Another process ended before, and said why.
        UserError: Another process was lost.
    """
    try:
        yield
    except BaseException as error:
        if _watch is None:
            raise
        if isinstance(error, RuntimeError) and _is_of_another(error):
            if _has_agent():
                time.sleep(_BEAT_S)  # its agent knows what happened, and ends this process
            said, status = _watch.has_failed(), 1
            error = UserError(_lost("another process of this job was lost"))
        else:
            # A mistake ends each process that makes it alike: an agent reports whichever it sees.
            said, status = False, 2 if isinstance(error, UserError) else 1
        is_first = _watch.end(failed=True)
        if _watch.rank == 0 and not _has_agent():
            time.sleep(2 * _BEAT_S)  # the store ends with this process: the others read the sign
        signal.alarm(_LAST_S)  # what still waits for the others at the exit has no end of its own
        if said or not (is_first or not isinstance(error, UserError | KeyboardInterrupt)):
            raise AlreadyReportedError(status) from error
        raise error


def gather(value: Any) -> list[Any]:
    """The value of every process, in each process."""
    if not distributed.is_initialized():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def share_of(counts: Tensor) -> Tensor:
    """What each process divides its sums by, so that their mean gradient is that of one mean.

    Args:
        counts: Of the samples that this process sums over, of any shape.

    Returns:
        The counts of all processes, or 1 where they have none, divided by the number of processes.
    """
    world = distributed.get_world_size() if distributed.is_initialized() else 1
    total = counts.float()
    if world > 1:
        total = total.clone()
        distributed.all_reduce(total)
    return total.clamp(min=1) / world


def _is_of_another(error: RuntimeError) -> bool:
    """Whether an error is that of communication."""
    return isinstance(error, distributed.DistError) or "gloo" in str(error)


def _has_agent() -> bool:
    """Whether torchrun's agent, with the store, watches over this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def _lost(what: str) -> str:
    return f"{what}; --resume goes on from the last checkpoint of a training"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]

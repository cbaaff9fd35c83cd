"""The measurements of a plan on this machine, one process each, several at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from mogabench.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mogabench.sweeps.plan import Measurement


_CHILD = (
    "import sys; sys.argv[0] = 'mogabench'; "
    "from mogabench.processes import die_with_parent; die_with_parent(); "
    "from mogabench.cli import main; main()"
)
"""What a measurement's process runs: `mogabench`, which ends with the sweep."""


@dataclass(frozen=True)
class Place:
    """Where a sweep writes.

    Attributes:
        work: A folder: below it are each training's checkpoints and each command's log.
        results: The results folder that takes the records.
        processes: Processes of each training, such as one for each GPU of a machine.
    """

    work: Path
    results: Path
    processes: int = 1

    def log(self, item: Measurement) -> Path:
        """The file that takes what a command prints."""
        return self.work / f"{item.name}.log"

    def command(self, item: Measurement) -> list[str]:
        """The whole command line of a measurement, which goes on where it was interrupted."""
        words = [sys.executable, "-P", "-c", _CHILD, *item.words, "--results", str(self.results)]
        if item.trains:
            words += ["--work-dir", str(self.work / item.name), "--resume"]
        if item.words[0] == "run" and "--data" in item.words and self.processes > 1:
            words += ["--nproc", str(self.processes)]
        return [*words, "--quiet"]


@dataclass(frozen=True)
class Failure:
    """A measurement that failed, and the last line that it wrote."""

    item: Measurement
    reason: str


@dataclass(frozen=True)
class Children:
    """The processes of a sweep, which end with it.

    Attributes:
        running: Those that run now.
        ended: Whether the sweep was ended; none is begun again then.
    """

    running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    ended: Event = field(default_factory=Event)

    def add(self, child: subprocess.Popen[bytes]) -> None:
        """Takes one in that was started; kills it where the sweep was ended meanwhile."""
        self.running.add(child)
        if self.ended.is_set():
            child.kill()

    def end(self) -> None:
        """Kills all of them."""
        self.ended.set()  # first: what is added after the look at `running` sees it
        for child in list(self.running):
            child.kill()


def run_here(
    items: Sequence[Measurement], place: Place, *, jobs: int, retries: int, quiet: bool
) -> list[Failure]:
    """Runs measurements and returns those that failed.

    Args:
        items: The measurements.
        place: Where they write.
        jobs: How many at a time.
        retries: How often one that was killed is begun again; a training goes on from its newest
            checkpoint. One that ends with an error by itself would end so again.
        quiet: Plain lines instead of a progress bar.
    """
    place.work.mkdir(parents=True, exist_ok=True)
    failures = []
    children = Children()
    pool = ThreadPoolExecutor(jobs)
    with _sigterm_as_interrupt(), progress("measurements", len(items), quiet=quiet) as step:
        futures = {pool.submit(_attempt, item, place, retries, children): item for item in items}
        try:
            for future in as_completed(futures):
                item, reason = futures[future], future.result()
                if reason is not None:
                    failures.append(Failure(item, reason))
                step(f"{item.name}{': failed' * (reason is not None)} ({len(failures)} failed)")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            children.end()
            raise
    pool.shutdown()
    return failures


def execute(item: Measurement, place: Place, children: Children) -> int:
    """Runs a measurement's command, which ends with this process; returns its status."""
    with place.log(item).open("ab") as log:
        child = subprocess.Popen(
            place.command(item),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        children.add(child)
        try:
            return child.wait()
        finally:
            children.running.discard(child)


def last_line(log: Path) -> str:
    """The last line of a log that is not empty."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")


def _attempt(item: Measurement, place: Place, retries: int, children: Children) -> str | None:
    """Runs a measurement, again where it was killed; returns why it failed, or None."""
    for _ in range(1 + retries):
        status = execute(item, place, children)
        if status == 0 or children.ended.is_set():
            return None
        if status > 0:
            return f"{last_line(place.log(item))} (status {status})"
    return f"killed by {signal.Signals(-status).name}, {1 + retries} times"


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Has SIGTERM end the sweep as Ctrl-C does, with its children."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

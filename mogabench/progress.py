"""Progress of long work: a bar with an ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_LOG = logging.getLogger(__name__)


@contextmanager
def progress(title: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Shows how far a piece of work is, on standard error.

    Args:
        title: What is being done.
        total: The number of steps.
        quiet: Print plain lines even on a terminal.

    Yields:
        A function to call with a step's name when that step is done.
    """
    if sys.stderr.isatty() and not quiet:
        yield from _bar(title, total)
    else:
        yield from _lines(title, total)


def _bar(title: str, total: int) -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Eta

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Eta())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda name: bar.update(task, advance=1, description=f"{title} {name}")


def _lines(title: str, total: int) -> Iterator[Callable[[str], None]]:
    start, done = time.monotonic(), 0

    def advance(name: str) -> None:
        nonlocal done
        done += 1
        left = (time.monotonic() - start) / done * (total - done)
        _LOG.info("%s %d/%d %s (ETA %.0f s)", title, done, total, name, left)

    yield advance

"""Measuring the complexity of many subjects, on every core, each record stored at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from types import ModuleType
from typing import TYPE_CHECKING

from mogabench.catalogue import check_has_file, import_packages
from mogabench.errors import UserError
from mogabench.processes import die_with_parent
from mogabench.progress import progress
from mogabench.records import Kind, Quantity, Record, Store, is_counted, provenance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mogabench.subject import Subject

_MOST_PROCESSES = 8
"""Counting a network takes about 0.2 s, so more processes would only import torch longer."""


@dataclass(frozen=True)
class Failure:
    """A subject that could not be measured, and why."""

    subject: Subject
    reason: str


def measure_complexity(subject: Subject) -> Record:
    """Counts the subject's parameters and operations on the meta device.

    Raises:
        UserError: See `mogabench.catalogue.check_has_file`.
    """
    from mogabench.measure.complexity import count_subject

    check_has_file(subject.backbone)
    started, start = datetime.now(UTC), time.perf_counter()
    counted = count_subject(subject)
    values = {
        "parameters": Quantity(value=counted.parameters, unit="1"),
        "trainable_parameters": Quantity(value=counted.trainable_parameters, unit="1"),
        "activations": Quantity(value=counted.activations, unit="1"),
        "peak_activation_memory": Quantity(value=counted.peak_activation_memory, unit="B"),
    }
    for convention, operations in counted.operations.items():
        values[f"operations_{convention}"] = Quantity(value=operations, unit="MAC")
    return Record(
        subject=subject,
        kind=Kind.COMPLEXITY,
        values=values,
        notes=[f"not counted: {calls} x {name}" for name, calls in counted.unknown.items()],
        provenance=provenance(
            device="meta",
            batch_size=1,
            code=dict(counted.code),
            started=started,
            seconds=time.perf_counter() - start,
        ),
    )


def sweep(
    subjects: Sequence[Subject],
    store: Store,
    *,
    packages: list[str] | None = None,
    quiet: bool = False,
) -> list[Failure]:
    """Measures each subject and stores its record the moment it exists.

    An interrupted sweep keeps what it finished, and the next one continues from there.

    Args:
        subjects: What to measure.
        store: Where the records go.
        packages: Packages that register backbones, for the child processes to import.
        quiet: Print plain lines instead of a progress bar.

    Returns:
        The subjects that failed; the others are in the store.
    """
    failures = []
    with progress("counting", len(subjects), quiet=quiet) as advance:
        for outcome in _outcomes(subjects, packages):
            if isinstance(outcome, Failure):
                failures.append(outcome)
            else:
                store.append(outcome)
            advance(outcome.subject.backbone)
    return failures


def sweep_missing(
    subjects: Sequence[Subject],
    store: Store,
    *,
    packages: list[str] | None = None,
    quiet: bool = False,
) -> list[Failure]:
    """Measures those subjects that no record counts by the code that is here; see `sweep`."""
    missing = [one for one in dict.fromkeys(subjects) if not is_counted(one.key, store)]
    return sweep(missing, store, packages=packages, quiet=quiet) if missing else []


def _outcomes(
    subjects: Sequence[Subject], packages: list[str] | None
) -> Iterator[Record | Failure]:
    processes = min(os.cpu_count() or 1, len(subjects) // 2, _MOST_PROCESSES)
    if processes <= 1:
        yield from map(_attempt, subjects)
        return
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_prepare, initargs=(packages,)
    )
    try:
        with _hide_main(), _ignore_interrupts():  # the children do; the parent stops them
            futures = [pool.submit(_attempt, subject) for subject in subjects]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise UserError(
            "a counting process was killed, probably for lack of memory; what was counted is "
            "kept, and the same command goes on from there"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _hide_main() -> Iterator[None]:
    """Keeps children from running the user's script again; they know what its packages register.

    Else each would do so first, and so fail, unless the script asks for its ``__name__``.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _ignore_interrupts() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # which alone may set signals
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _prepare(packages: list[str] | None) -> None:
    die_with_parent()
    import atexit
    import gc

    import torch

    import mogabench.measure.complexity
    import mogabench.models  # noqa: F401

    torch.set_num_threads(1)
    import_packages(packages)
    atexit.register(gc.unfreeze)  # else native modules complain of leaks at the end
    gc.freeze()  # what the imports left is never garbage; looking at it takes 15 % of the sweep


def _attempt(subject: Subject) -> Record | Failure:
    try:
        return measure_complexity(subject)
    except UserError as error:
        return Failure(subject, str(error))
    except Exception as error:
        return Failure(subject, f"{type(error).__name__}: {error}".splitlines()[0])

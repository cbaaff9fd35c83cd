"""The counts and a brief timing of one network, as `mogabench run` stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.errors import UserError
from mogabench.measure.settings import Device, Settings
from mogabench.measure.sweep import sweep_missing
from mogabench.measure.worker import Request, measure_in_subprocess
from mogabench.records import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.records import Record, Store
    from mogabench.subject import Subject


def count(
    subjects: Sequence[Subject], store: Store, packages: Sequence[str], *, quiet: bool = True
) -> list[Record]:
    """The newest record of each subject's complexity; counts it where there is none of this code.

    Raises:
        UserError: A network cannot be built or counted.
    """
    for failure in sweep_missing(subjects, store, packages=list(packages), quiet=quiet):
        raise UserError(f"cannot count {failure.subject.key}: {failure.reason}")
    counted = [store.latest(subject.key, Kind.COMPLEXITY) for subject in subjects]
    return [record for record in counted if record is not None]  # all are: none has failed


def time_briefly(subject: Subject, store: Store, device: Device, packages: Sequence[str]) -> Record:
    """Times a few seconds of eager float32 in a process of its own; batch 1 on a CPU.

    Raises:
        UserError: The network cannot be built, or its process was killed.
    """
    settings = Settings(
        device=device,
        batch_size="auto" if device == "cuda" else 1,
        warmup_seconds=0.5,
        min_iterations=2,
        min_seconds=2.0,
        max_seconds=4.0,
    )
    request = Request(subject=subject, settings=settings, packages=tuple(packages))
    record = measure_in_subprocess(request)
    store.append(record)
    return record

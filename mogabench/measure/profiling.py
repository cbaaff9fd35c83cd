"""Measuring the throughput of many networks, each record stored at once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from mogabench.columns import short
from mogabench.measure.settings import FIRST_BATCH, LARGEST_THAT_FITS
from mogabench.measure.trust import MOST_MEDIAN_ERROR, warning_lines
from mogabench.measure.worker import MeasurementError, measure_in_subprocess
from mogabench.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.measure.settings import Device, Settings
    from mogabench.measure.worker import Request
    from mogabench.records import Record, Store

_LOG = logging.getLogger(__name__)


def sweep_throughput(
    requests: Sequence[Request], store: Store, *, skip_existing: bool, quiet: bool
) -> list[Record]:
    """Measures each request in a process of its own; one that fails is reported and left out.

    Args:
        requests: What to measure.
        store: Where the records go.
        skip_existing: Whether a record of the same code and set-up on this device, timed as long as
            asked, is taken instead.
        quiet: Show plain lines instead of a progress bar.
    """
    records = []
    with progress("profiling", len(requests), quiet=quiet) as advance:
        for request in requests:
            name = request.name
            record = _find(store, request) if skip_existing else None
            try:
                if record is None:
                    record = measure_in_subprocess(request)
                    store.append(record)
            except MeasurementError as error:
                _LOG.error("mogabench: %s", error)
                advance(f"{name}: failed")
            else:
                records.append(record)
                speed = record.values["throughput"]
                advance(f"{name}: {short(speed.value)} {speed.unit}")
                for line in warning_lines(record):
                    _LOG.warning("mogabench: %s: %s", name, line)
    return records


def _find(store: Store, request: Request) -> Record | None:
    """A record of the same set-up and code on this device while it was not busy.

    It was timed as long as asked. The newest whose median is known goes before the newest of all.
    One of an earlier version, without a floor, does not count: its machine was not watched.
    """
    import torch

    from mogabench.machine import device_name
    from mogabench.records import is_stale

    how = request.settings
    set_up: dict[str, Any] = {
        "device": device_name(how.device),
        "dtype": how.weights_dtype,
        "channels_last": how.channels_last,
        "compiled": how.compile,
        "busy": False,
        "runtime": None if how.runtime == "torch" else how.runtime,
        "amp": how.amp,
    }
    if how.device == "cpu":
        set_up["threads"] = how.threads or torch.get_num_threads()
    found = (
        record
        for record in store.matching(request.subject.key, request.kind, **set_up)
        if _has_batch(record, how.batch_size, how.device)
        and "floor" in record.values
        and _is_long_enough(record, how)
        and not is_stale(record)
    )
    return max(found, key=_has_known_median, default=None)


def _is_long_enough(record: Record, how: Settings) -> bool:
    """Whether a timing has the least passes, and the least seconds unless its median is known.

    The most seconds are no measure: a record counts those in passes, not those between them.
    """
    values = {name: quantity.value for name, quantity in record.values.items()}
    is_over = _has_known_median(record) or values.get("seconds", 0.0) >= how.min_seconds
    return is_over and values.get("iterations", 0.0) >= how.min_iterations


def _has_known_median(record: Record) -> bool:
    error = record.values.get("median_error")
    return error is not None and error.value <= MOST_MEDIAN_ERROR


def _has_batch(record: Record, batch_size: int | Literal["auto"], device: Device) -> bool:
    """Whether a record is of that batch size, or of the one that ``auto`` came to."""
    if batch_size != "auto":
        return record.provenance.batch_size == batch_size
    is_first = record.provenance.batch_size == FIRST_BATCH[device]
    return is_first or any(note.startswith(LARGEST_THAT_FITS) for note in record.notes)

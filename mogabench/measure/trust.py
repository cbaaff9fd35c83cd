"""What speaks against trusting a throughput."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mogabench.records import Record

MOST_MEDIAN_ERROR = 1.0
"""Half the 95 % interval of a median that is known well enough, as % of the median."""

FEWEST_FOR_AN_INTERVAL = 6
"""With five samples, all lie on one side of the median with a probability of 6 %."""

ROUGH_MEDIAN_ERROR = 5.0
"""The same where tables mark the speed."""

MOST_LACKED_CORE = 5.0
"""How long a process may lack a core, as % of the time.

On a machine without other work a thread lacks one for less than 1 %; networks that differ by 5 %
should be told apart.
"""

MOST_RATE_CHANGE = 10.0
"""By how much the device's matrix rate may differ after a figure from that before, in %.

It is that of the fastest of several products, which repeats to 2 or 3 % where the clocks do.
"""


def busy(lacked_core: float) -> str:
    """Says that a process lacked a core for that part of the time, in %."""
    return f"the machine was busy: a thread lacked a core for {lacked_core:.0f} % of the time"


def disturbances(values: Mapping[str, float]) -> dict[str, str]:
    """What makes a time that of the machine rather than of the network, in a word and in a line.

    Args:
        values: Of a throughput, by name.
    """
    found = {}
    lacked, change = values.get("lacked_core", 0.0), values.get("rate_change", 0.0)
    if lacked > MOST_LACKED_CORE:
        found["busy"] = busy(lacked)
    if abs(change) > MOST_RATE_CHANGE:
        differs = f"{abs(change):.0f} % {'higher' if change > 0 else 'lower'}"
        found["throttled"] = (
            "the machine was throttled, or its cores shared: its matrix rate was "
            f"{differs} after the timing than before"
        )
    return found


def state(record: Record) -> str:
    """The state of the machine that a record is marked for, such as ``busy``; mostly empty."""
    return " and ".join(disturbances(_values(record))) if record.provenance.busy else ""


def warning_lines(record: Record) -> list[str]:
    """What a reader must know before trusting a throughput record, each a line; mostly none."""
    values, where = _values(record), record.provenance
    lines = []
    if where.busy:
        lines = [f"{line} (load before: {where.load})" for line in disturbances(values).values()]
    return [*lines, *_median_lines(values)]


def _median_lines(values: Mapping[str, float]) -> list[str]:
    count, error = values.get("iterations"), values.get("median_error")
    passes = "an unknown number of passes" if count is None else f"{count:.0f} passes"
    if error is not None and error > MOST_MEDIAN_ERROR:
        return [f"the median has not converged: it is known to ± {error:.1f} % after {passes}"]
    if error is None and (count is None or count < FEWEST_FOR_AN_INTERVAL):
        return [f"the median of {passes} may be off by any amount"]
    return []


def is_rough(record: Record) -> bool:
    """Whether a throughput is known to no better than 5 %, or is of too few passes to tell."""
    values = _values(record)
    if "median_error" in values:
        return values["median_error"] > ROUGH_MEDIAN_ERROR
    return values.get("iterations", 0.0) < FEWEST_FOR_AN_INTERVAL


def _values(record: Record) -> dict[str, float]:
    return {name: quantity.value for name, quantity in record.values.items()}

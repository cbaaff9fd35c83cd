"""What speaks against trusting a throughput."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.measure.confidence import FEWEST_FOR_AN_INTERVAL

if TYPE_CHECKING:
    from mogabench.records import Record

MOST_MEDIAN_ERROR = 1.0
"""Half the 95 % interval of a median that is known well enough, as % of the median."""

MOST_LACKED_CORE = 5.0
"""How long a process may lack a core, as % of the time.

On a machine without other work a thread lacks one for less than 1 %; networks that differ by 5 %
should be told apart.
"""


def busy(lacked_core: float) -> str:
    """Says that a process lacked a core for that part of the time, in %."""
    return f"the machine was busy: a thread lacked a core for {lacked_core:.0f} % of the time"


def doubts(record: Record) -> list[str]:
    """What a reader must know before trusting a throughput record, each a line; mostly none."""
    values = {name: quantity.value for name, quantity in record.values.items()}
    lines = []
    if record.provenance.busy:
        lines.append(f"{busy(values['lacked_core'])} (load before: {record.provenance.load})")
    passes = f"{values['iterations']:.0f} passes"
    error = values.get("median_error")
    if error is not None and error > MOST_MEDIAN_ERROR:
        lines.append(f"the median has not converged: it is known to ± {error:.1f} % after {passes}")
    elif values["iterations"] < FEWEST_FOR_AN_INTERVAL:
        lines.append(f"the median of {passes} may be off by any amount")
    return lines

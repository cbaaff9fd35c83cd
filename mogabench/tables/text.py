"""Records as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.columns import short
from mogabench.measure.trust import warning_lines
from mogabench.tables.trainings import quality_text

if TYPE_CHECKING:
    from mogabench.records import Record


def complexity_line(record: Record) -> str:
    """Parameters, operations by convention, activations and memory."""
    values = {name: quantity.value for name, quantity in record.values.items()}
    operations = ", ".join(
        f"{value / 1e9:.3f} G ({name.removeprefix('operations_')})"
        for name, value in values.items()
        if name.startswith("operations_")
    )
    return (
        f"parameters {values['parameters'] / 1e6:.3f} M; operations {operations}; "
        f"activations {values['activations'] / 1e6:.1f} M, "
        f"at most {values['peak_activation_memory'] / 2**20:.0f} MiB at once"
    )


def throughput_line(record: Record) -> str:
    """The throughput with its error, how it was measured, and what speaks against trusting it."""
    values, where = record.values, record.provenance
    rate, error = values["throughput"], values.get("median_error")
    margin = "" if error is None else f"± {error.value:.1f} %, "
    if "floor" in values:
        margin += f"{values['floor'].value / values['latency_p50'].value:.2f} of its floor, "
    reasons = warning_lines(record)
    line = (
        f"throughput {short(rate.value)} {rate.unit} "
        f"({margin}batch {where.batch_size}, {where.dtype}, {where.machine})"
    )
    return f"{line}; not trustworthy: {'; '.join(reasons)}" if reasons else line


def quality_lines(record: Record) -> list[str]:
    """The metrics with their data and recipe, then the notes on them."""
    where = record.provenance
    recipe = f", trained by {where.recipe}" if where.recipe else ""
    changes = ", ".join(f"{key}={value}" for key, value in (where.recipe_changes or {}).items())
    if changes:
        recipe += f" with {changes}"
    return [quality_text(record) + recipe, *(f"  {note}" for note in record.notes)]


def made_by(record: Record) -> str:
    """The command behind a record with its commit, day, device and packages."""
    where = record.provenance
    versions = ", ".join(f"{name} {version}" for name, version in where.packages.items())
    commit = "" if where.commit is None else f" at {where.commit[:8]}"
    changed = " with uncommitted changes" if where.dirty else ""
    return (
        f"{where.command}{commit}{changed}, {where.started:%Y-%m-%d}, on {where.device}; {versions}"
    )

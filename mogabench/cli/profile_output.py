"""What ``mogabench profile`` prints."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING

from mogabench.console import print_line
from mogabench.measure.settings import set_up_name
from mogabench.measure.trust import state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.measure.comparing import Comparison
    from mogabench.records import Record

_TIMM_COLUMNS = (
    *("model", "infer_img_size", "infer_samples_per_sec", "infer_step_time", "infer_batch_size"),
    *("param_count", "infer_gmacs", "infer_macts"),
)


def print_records(records: Sequence[Record]) -> None:
    """Prints the name and the figures of each record, in 80 columns.

    ``of floor`` is the part of the median latency in which the device could have done the work.
    """
    unit = records[0].values["throughput"].unit if records else "img/s"
    heads = ("batch", unit, "± %", "p50 ms", "p90 ms", "p99 ms", "peak MiB", "of floor")
    print_line(_in_columns(*heads))
    for record in records:
        how = record.provenance
        set_up = set_up_name(
            how.dtype,
            compiled=how.compiled,
            channels_last=how.channels_last,
            runtime=how.runtime,
        )
        print_line(f"{record.subject.backbone}, {set_up}{f', {state(record)} machine' * how.busy}")
        print_line(_in_columns(*_figures(record)))


def _in_columns(*fields: str) -> str:
    """Fields on a line of their own, as names beside them would leave no room for eight."""
    return "".join(f" {field:>9}" for field in fields)


def _figures(record: Record) -> tuple[str, ...]:
    """The record's figures as text; one that is not known is a dash."""
    values = {name: quantity.value for name, quantity in record.values.items()}

    def text(name: str, digits: int, scale: float = 1) -> str:
        return f"{values[name] / scale:.{digits}f}" if name in values else "—"

    return (
        str(record.provenance.batch_size),
        text("throughput", 1),
        text("median_error", 1),
        *(text(f"latency_p{percentile}", 2) for percentile in (50, 90, 99)),
        text("peak_memory", 0, 2**20),
        text("floor", 2, values["latency_p50"]),
    )


def print_comparisons(comparisons: Sequence[Comparison]) -> None:
    """Prints how fast each network is beside the first one, in less than 80 columns."""
    print_line(f"speed beside {comparisons[0].baseline}, with its 95 % interval")
    for item in comparisons:
        interval = f"{item.low:.3f} … {item.high:.3f}"
        print_line(item.network)
        print_line(f"  {item.ratio:.3f} x ({interval}) in {item.rounds} rounds: {item.verdict}")


def print_csv(records: Sequence[Record], complexities: Sequence[Record]) -> None:
    """Prints the columns of timm's ``results/benchmark-infer-*.csv``, rounded as there.

    Args:
        records: The throughputs.
        complexities: The counts of the same networks.
    """
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_TIMM_COLUMNS)
    for record, complexity in zip(records, complexities, strict=True):
        size, speed, counts = record.subject.input_size, record.values, complexity.values
        writer.writerow(
            (
                record.subject.backbone,
                "x".join(map(str, size[:1] if len(set(size)) == 1 else size)),
                round(speed["throughput"].value, 2),
                round(speed["latency_p50"].value, 3),
                record.provenance.batch_size,
                round(counts["parameters"].value / 1e6, 2),
                round(counts["operations_fvcore"].value / 1e9, 2),
                round(counts["activations"].value / 1e6, 2),
            )
        )

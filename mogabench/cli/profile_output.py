"""What ``mogabench profile`` prints."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING

from mogabench.columns import short
from mogabench.console import print_line
from mogabench.escaping import csv_field
from mogabench.measure.settings import set_up_name
from mogabench.measure.trust import state
from mogabench.records import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.measure.comparing import Comparison
    from mogabench.records import Record


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
            amp=how.amp,
            train_step=record.kind is Kind.TRAIN_STEP,
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
        short(values["throughput"]),
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

    Those of training steps are of its ``benchmark-train-*.csv``.

    Args:
        records: What was timed, all inference or all training.
        complexities: The counts of the same networks.
    """
    rows = [
        (_training_row if record.kind is Kind.TRAIN_STEP else _inference_row)(record, complexity)
        for record, complexity in zip(records, complexities, strict=True)
    ]
    if rows:
        writer = csv.DictWriter(sys.stdout, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: csv_field(item) for name, item in row.items()} for row in rows)


def _inference_row(record: Record, complexity: Record) -> dict[str, object]:
    counts = complexity.values
    return {
        "model": record.subject.backbone,
        "infer_img_size": _img_size(record),
        "infer_samples_per_sec": round(record.values["throughput"].value, 2),
        "infer_step_time": round(record.values["latency_p50"].value, 3),
        "infer_batch_size": record.provenance.batch_size,
        "param_count": _millions(counts["parameters"].value),
        "infer_gmacs": round(counts["operations_fvcore"].value / 1e9, 2),
        "infer_macts": _millions(counts["activations"].value),
    }


def _training_row(record: Record, complexity: Record) -> dict[str, object]:
    return {
        "model": record.subject.backbone,
        "train_samples_per_sec": round(record.values["throughput"].value, 2),
        "train_step_time": round(record.values["latency_p50"].value, 3),
        "train_batch_size": record.provenance.batch_size,
        "train_img_size": _img_size(record),
        "param_count": _millions(complexity.values["parameters"].value),
    }


def _img_size(record: Record) -> str:
    size = record.subject.input_size
    return "x".join(map(str, size[:1] if len(set(size)) == 1 else size))


def _millions(value: float) -> float:
    return round(value / 1e6, 2)

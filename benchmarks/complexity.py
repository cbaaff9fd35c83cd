"""How much faster counting on the meta device is than fvcore on the CPU, building included.

    python benchmarks/complexity.py [--rows N] [--json FILE]

Both counters take the same rows, the distinct networks of Tables 2, 3, A1 and A15 that can be
built, one after the other on one thread. fvcore gets networks without fused attention, which it
does not see, and each counter is called once before, so that imports are not charged to a row.

The floor is Python itself, which makes the modules and calls them: with the result of every
operator known beforehand, our sweep still takes two thirds of its time. The rest is PyTorch's
working out of shapes, once for each distinct operator and shape of a network.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import timm
import torch
from fvcore.nn import FlopCountAnalysis
from rich.progress import track

import mogabench.models  # noqa: F401  (registers the names)
from mogabench.measure.complexity import count_subject
from mogabench.paper import cell_subject, get_paper
from mogabench.tasks import get_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from mogabench.subject import Subject

TABLES = ("2", "3", "A1", "A15")


def subjects() -> list[Subject]:
    tables = [get_paper().table(name) for name in TABLES]
    cells = [
        cell_subject(row, column)
        for table in tables
        for row in table.rows
        for column in table.columns
        if column.metric in ("params", "operations")
    ]
    return [s for s in dict.fromkeys(cells) if s is not None and timm.is_model(s.backbone)]


def fvcore_operations(subject: Subject) -> int:
    task = get_task(subject.task)
    model = task.build(subject).eval()
    with torch.no_grad():
        return FlopCountAnalysis(model, task.example_inputs(subject)).total()


def our_operations(subject: Subject) -> int:
    return count_subject(subject).operations["fvcore"]


def timed(operations: Callable[[Subject], int], subject: Subject) -> tuple[int, float]:
    start = time.perf_counter()
    counted = operations(subject)
    return counted, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="Times our counter against fvcore's.")
    parser.add_argument("--rows", type=int, help="only the first N networks")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    timm.layers.set_fused_attn(False)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    chosen = subjects()[: arguments.rows]
    for operations in (our_operations, fvcore_operations):
        operations(chosen[0])

    rows = []
    for subject in track(chosen, transient=True):
        counted, seconds = timed(our_operations, subject)
        expected, fvcore_seconds = timed(fvcore_operations, subject)
        rows.append(
            {
                "subject": subject.key,
                "seconds": seconds,
                "fvcore_seconds": fvcore_seconds,
                "ratio": fvcore_seconds / seconds,
                "operations": counted,
                "fvcore_operations": expected,
            }
        )
        print(
            f"{subject.key:75} {seconds:7.3f} s {fvcore_seconds:8.3f} s {rows[-1]['ratio']:6.1f} x"
            + ("" if counted == expected else f"  {counted / expected:.4f} of fvcore's count")
        )
    ours, theirs = (sum(row[key] for row in rows) for key in ("seconds", "fvcore_seconds"))
    summary = {
        "networks": len(rows),
        "median_ratio": statistics.median(row["ratio"] for row in rows),
        "total_ratio": theirs / ours,
        "seconds_per_row": ours / len(rows),
        "fvcore_seconds_per_row": theirs / len(rows),
    }
    print(json.dumps(summary, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps({"summary": summary, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()

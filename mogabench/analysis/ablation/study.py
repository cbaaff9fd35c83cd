"""The networks of an ablation beside each other."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mogabench.analysis.figures import csv_text
from mogabench.measure.quick import count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mogabench.paper import Ablation
    from mogabench.records import Record, Store
    from mogabench.subject import Subject

_METRIC = "top1"


@dataclass(frozen=True)
class Line:
    """A network of an ablation.

    Attributes:
        name: Such as ``A5/4``.
        label: What is different in it.
        parameters: Trainable ones.
        operations: Multiply-accumulates, as the paper counts its own.
        printed: Top-1 accuracy in the paper, of its networks on ImageNet; None where the text at
            hand has none.
        accuracies: Top-1 in % of the trainings done here, by seed.
    """

    name: str
    label: str
    parameters: float
    operations: float
    printed: float | None
    accuracies: Mapping[int, float]

    @property
    def mean(self) -> float | None:
        """Of the accuracies; None without any."""
        return statistics.fmean(self.accuracies.values()) if self.accuracies else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the accuracies over the seeds; None of fewer than two."""
        return statistics.stdev(self.accuracies.values()) if len(self.accuracies) > 1 else None

    def gain_over(self, other: Line) -> tuple[float, float] | None:
        """How much more accurate it is than another, and that mean's standard error.

        Both are of the differences seed by seed: equal seeds see equal images in equal order.

        Returns:
            Two numbers in points; None where they share fewer than two seeds.
        """
        seeds = self.accuracies.keys() & other.accuracies.keys()
        if len(seeds) < 2:
            return None
        differences = [self.accuracies[seed] - other.accuracies[seed] for seed in seeds]
        error = statistics.stdev(differences) / len(differences) ** 0.5
        return statistics.fmean(differences), error


def compare(
    ablation: Ablation,
    subjects: Sequence[Subject],
    trained: Sequence[Sequence[Record]],
    store: Store,
    *,
    packages: Sequence[str] = (),
    quiet: bool = False,
) -> list[Line]:
    """Counts the networks of an ablation and gathers their accuracies.

    Args:
        ablation: Names the networks.
        subjects: The network of each variant.
        trained: The records of each network's trainings.
        store: Takes the counts.
        packages: Those of ``--import``.
        quiet: Plain lines instead of a progress bar.

    Raises:
        UserError: A network cannot be built.
    """
    lines = []
    counts = count(subjects, store, packages, quiet=quiet)
    for variant, counted, records in zip(ablation.variants, counts, trained, strict=True):
        accuracies = {one.provenance.seed or 0: one.values[_METRIC].value for one in records}
        lines.append(
            Line(
                variant.name,
                variant.label,
                counted.values["trainable_parameters"].value,
                counted.values["operations_paper"].value,
                variant.printed,
                accuracies,
            )
        )
    return lines


def as_csv(lines: Sequence[Line]) -> str:
    """The lines as CSV, one for each network and seed, or for a network without training."""
    rows: list[tuple[object, ...]] = []
    for line in lines:
        shared = (line.name, line.label, int(line.parameters), int(line.operations), line.printed)
        for seed, accuracy in line.accuracies.items() or [(None, None)]:
            rows.append((*shared, seed, accuracy))
    heads = ("network", "label", "parameters", "operations", "printed", "seed", "top1")
    return csv_text(heads, rows)

"""Metrics over the results of all processes."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric

from mogabench.engine.processes import gather
from mogabench.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set
    from pathlib import Path

    from numpy.typing import NDArray


class GatheredMetric(BaseMetric):
    """A metric of the results of all processes, none of which evaluates an item twice.

    mmengine's own cuts off what its samplers pad; `EvaluationOrder` pads nothing.

    Attributes:
        unread: The places in the data set of items whose images this process could not read.
        left_out: Those of all processes, in ``compute_metrics``.
        annotated: Whether the data says what is right; without, there are predictions and no
            metrics.
        predictions: The file that an evaluation writes its predictions to; None writes none.
        confusion: The CSV file that it writes its confusion matrix to; None writes none.
        by_class: Figures by metric and class name, of the last evaluation; empty where the task has
            none.
    """

    default_prefix = ""
    unread: Set[int] = frozenset()
    left_out: Set[int] = frozenset()
    annotated: bool = True
    predictions: Path | None = None
    confusion: Path | None = None
    by_class: Mapping[str, Mapping[str, float]] = {}

    def evaluate(self, size: int) -> dict[str, float]:
        """What ``compute_metrics`` makes of the results of all processes; {} without annotations.

        Args:
            size: Not needed, see above.
        """
        self.left_out = frozenset[int]().union(*gather(self.unread))
        results = self.combine([result for share in gather(self.results) for result in share])
        self.results.clear()
        metrics: dict[str, float] = self.compute_metrics(results) if self.annotated else {}
        if self.predictions is not None and get_rank() == 0:
            write_whole(self.predictions, self.encode(results))
        if self.confusion is not None and get_rank() == 0:
            write_whole(self.confusion, _as_csv(*self.count_confusions(results)))
        return metrics

    def combine(self, results: list[Any]) -> list[Any]:
        """What both metrics and predictions are made of; the results themselves in most tasks.

        Args:
            results: Of all processes, which may each have evaluated any of the images.
        """
        return results

    def encode(self, results: list[Any]) -> str | bytes:
        """The content of the file of predictions.

        Args:
            results: What `combine` returns.
        """
        raise NotImplementedError

    def count_confusions(self, results: list[Any]) -> tuple[Sequence[str], NDArray[Any]]:
        """The classes' names and the confusion matrix ``(true classes, predicted classes)``.

        Args:
            results: As in `encode`.
        """
        raise NotImplementedError


def _as_csv(classes: Sequence[str], matrix: NDArray[Any]) -> str:
    """A row for each true class, a column for each predicted one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true \\ predicted", *classes])
    writer.writerows([name, *row] for name, row in zip(classes, matrix.tolist(), strict=True))
    return text.getvalue()

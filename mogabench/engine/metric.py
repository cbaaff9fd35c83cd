"""Metrics over the results of all processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.evaluator import BaseMetric

from mogabench.engine.environment import gather

if TYPE_CHECKING:
    from collections.abc import Set


class GatheredMetric(BaseMetric):
    """A metric of the results of all processes, none of which evaluates an item twice.

    mmengine's own cuts off what its samplers pad; `EvaluationOrder` pads nothing.

    Attributes:
        unread: The places in the data set of items whose images this process could not read.
        left_out: Those of all processes, in ``compute_metrics``.
    """

    default_prefix = ""
    unread: Set[int] = frozenset()
    left_out: Set[int] = frozenset()

    def evaluate(self, size: int) -> dict[str, float]:
        """What ``compute_metrics`` makes of the results of all processes.

        Args:
            size: Not needed, see above.
        """
        self.left_out = frozenset[int]().union(*gather(self.unread))
        results: list[Any] = [result for share in gather(self.results) for result in share]
        self.results.clear()
        metrics: dict[str, float] = self.compute_metrics(results)
        return metrics

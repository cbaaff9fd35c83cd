"""Metrics over the results of all processes."""

from __future__ import annotations

from typing import Any

from mmengine.evaluator import BaseMetric

from mogabench.engine.environment import gather


class GatheredMetric(BaseMetric):
    """A metric of the results of all processes, none of which evaluates an item twice.

    mmengine's own cuts off what its samplers pad; `EvaluationOrder` pads nothing.
    """

    default_prefix = ""

    def evaluate(self, size: int) -> dict[str, float]:
        """What ``compute_metrics`` makes of the results of all processes.

        Args:
            size: Not needed, see above.
        """
        results: list[Any] = [result for share in gather(self.results) for result in share]
        self.results.clear()
        metrics: dict[str, float] = self.compute_metrics(results)
        return metrics

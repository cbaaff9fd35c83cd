"""Top-1 and top-5 accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mogabench.engine.metric import GatheredMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class TopAccuracy(GatheredMetric):
    """Top-1 and top-5 accuracy in percent, over every image that could be read.

    Where there are fewer than five classes, top-5 takes as many as there are.
    """

    def process(self, data_batch: dict[str, Tensor], data_samples: Sequence[Tensor]) -> None:
        """Notes for each image of a batch at which place its label was, from 0; 5 if later."""
        labels, logits = data_batch["labels"], torch.stack(list(data_samples)).cpu()
        best = logits.topk(min(5, logits.shape[1])).indices
        hits = best == labels[:, None]
        places = torch.where(hits.any(1), hits.int().argmax(1), 5)
        self.results.extend(places.tolist())

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        """The accuracies in percent, from the places of the labels."""
        top1 = sum(place == 0 for place in results)
        top5 = sum(place < 5 for place in results)
        return {"top1": 100 * top1 / len(results), "top5": 100 * top5 / len(results)}

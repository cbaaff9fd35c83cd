"""mIoU, mAcc and aAcc, by mmseg's metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmseg.evaluation import IoUMetric

from mogabench.engine.metric import GatheredMetric
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = {"mIoU": "miou", "mAcc": "macc", "aAcc": "aacc"}


class Overlap(GatheredMetric, IoUMetric):
    """Mean intersection over union, mean and overall accuracy of the pixels, in percent.

    Means are over the classes that occur; ignored pixels count nowhere.

    Args:
        classes: Their names.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__()
        self.dataset_meta = {"classes": classes}

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """The figures, from the images' areas by class.

        Raises:
            UserError: The true masks are empty, so that there are no figures.
        """
        if not sum(truth.sum() for _, _, _, truth in results):
            raise UserError(
                "no pixel of the validation masks has a class: all are 0 or 255, which are ignored"
            )
        figures = super().compute_metrics(results)
        return {name: float(figures[key]) for key, name in _NAMES.items()}

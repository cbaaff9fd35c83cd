"""How well the predicted classes cover the true ones, by mmseg's metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmseg.evaluation import IoUMetric

from mogabench.engine.environment import gather
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = {"mIoU": "miou", "mAcc": "macc", "aAcc": "aacc"}


class Overlap(IoUMetric):
    """Mean intersection over union, mean and overall accuracy of the pixels, in percent.

    Means are over the classes that occur; ignored pixels count nowhere.

    Args:
        classes: Their names.
    """

    default_prefix = ""

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__()
        self.dataset_meta = {"classes": classes}

    def evaluate(self, size: int) -> dict[str, float]:
        """The figures over the images of all processes.

        Args:
            size: Not needed: no process evaluates an image twice.

        Raises:
            UserError: The true masks are empty, so that there are no figures.
        """
        areas: list[Any] = [area for results in gather(self.results) for area in results]
        self.results.clear()
        if not sum(truth.sum() for _, _, _, truth in areas):
            raise UserError(
                "no pixel of the validation masks has a class: all are 0 or 255, which are ignored"
            )
        figures = self.compute_metrics(areas)
        return {name: float(figures[key]) for key, name in _NAMES.items()}

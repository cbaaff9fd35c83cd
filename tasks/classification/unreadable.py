"""Reports images that cannot be read, and stops the run at the first one if so asked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mogabench.engine.environment import gather
from mogabench.engine.reporting import Noting
from mogabench.errors import UserError
from mogabench.tasks.classification.images import NONE, SKIPPED

if TYPE_CHECKING:
    from mmengine.runner import Runner
    from torch import Tensor

    from mogabench.tasks.classification.data import Split

_LOG = logging.getLogger(__name__)


class UnreadableImages(Noting):
    """Names every image that cannot be read once, and stops the run if it must.

    Args:
        training: The images to train on.
        evaluation: The images to evaluate on.
        on_bad_image: ``skip`` or ``fail``.
    """

    def __init__(self, training: Split | None, evaluation: Split, on_bad_image: str) -> None:
        self.training, self.evaluation = training, evaluation
        self.on_bad_image = on_bad_image
        self.skipped: dict[str, set[str]] = {"train": set(), "val": set()}

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: tuple[dict[str, Tensor], ...]
    ) -> None:
        """Looks through the batches of a step."""
        assert self.training is not None
        for batch in data_batch:
            self._note(batch, self.training)
            if (batch["labels"] == SKIPPED).any():
                raise UserError(
                    f"most images of {self.training.identity.name} cannot be read, such as "
                    f"{min(self.skipped['train'])}"
                )

    def before_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Tensor]
    ) -> None:
        """Looks through a batch."""
        self._note(data_batch, self.evaluation)

    def notes(self) -> list[str]:
        """How many images of each split were skipped, and which."""
        notes = []
        for split, skipped in self.skipped.items():
            names = sorted(set().union(*gather(skipped)))
            if names:
                notes.append(f"{len(names)} {split} image(s) cannot be read: {', '.join(names)}")
        return notes

    def _note(self, batch: dict[str, Tensor], split: Split) -> None:
        known = self.skipped[split.identity.split]
        for index in batch["unreadable"][batch["unreadable"] != NONE].tolist():
            name = split.name_of(index)
            if self.on_bad_image == "fail":
                raise UserError(f"cannot read the image {name}")
            if name not in known:
                known.add(name)
                _LOG.warning("skipped, because it cannot be read: %s", name)

"""The batches that make up an optimizer step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.dist import get_dist_info

from mogabench.errors import UserError

if TYPE_CHECKING:
    from mogabench.engine.job import Job


def batches_per_step(job: Job[Any, Any]) -> tuple[int, int]:
    """Splits the recipe's batch over processes and accumulated passes.

    Returns:
        Samples per forward pass of each process, and how many passes a step accumulates.

    Raises:
        UserError: The recipe's batch size cannot be made up so.
    """
    assert job.recipe is not None
    total, world = job.recipe.batch_size, get_dist_info()[1]
    size = job.batch_size or max(total // world, 1)
    if total % (size * world):
        raise UserError(
            f"batches of {size} images on {world} device(s) do not add up to the recipe's "
            f"batch_size {total}; choose a divisor, or --set batch_size=N with the learning rate "
            "that goes with it (it is never rescaled)"
        )
    return size, total // (size * world)

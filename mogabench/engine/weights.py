"""The weights that a job starts from, loaded into its network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mogabench.checkpoints import load_into

if TYPE_CHECKING:
    from torch import nn

    from mogabench.engine.job import Job


def load_job_weights(
    job: Job[Any, Any], network: nn.Module, *, backbone: str = "", classes: tuple[str, ...] = ()
) -> None:
    """Loads a job's weights, if it has any.

    To evaluate, they must be those of the whole network. A training may also begin with a whole
    network, whose head may be replaced with ``new_head``, or with the backbone alone, such as a
    classifier.

    Args:
        job: Names the file.
        network: The task's network; left as it was if anything does not fit.
        backbone: The name within it of the timm network; empty where it is one itself.
        classes: Of the data, which must be those that a file states; empty where there are none.

    Raises:
        UserError: The file cannot be read, or its weights do not fit.
    """
    if job.weights is not None:
        load_into(
            network,
            job.weights,
            job.subject,
            backbone=backbone,
            train=job.train,
            prefer_ema=job.ema,
            new_head=job.new_head,
            classes=classes,
        )

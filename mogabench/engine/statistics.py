"""Precise batch norm: statistics measured again with the weights that a training ended with."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import all_reduce, get_world_size
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mogabench.engine.model import Trained


@torch.no_grad()
def measure_statistics(model: Trained, batches: Iterable[Any], count: int) -> None:
    """Replaces the running means and variances by those over some training batches.

    A running statistic remembers outputs of older weights; this is the mean of the statistics of
    ``count`` batches, all with the weights as they are, and over all processes (Wu and Johnson,
    Rethinking "Batch" in BatchNorm, Section 3). Frozen norms keep what they have.

    Args:
        model: Changed in place; its norms are those that training would update.
        batches: As the training loader gives them.
        count: How many are taken.
    """
    was_training = model.training
    model.train()
    norms = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's sign for the mean over all batches
    for batch in islice(batches, count):
        model(**model.data_preprocessor(batch, True), mode="loss")
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        if get_world_size() > 1:
            all_reduce(norm.running_mean, "mean")
            all_reduce(norm.running_var, "mean")
    model.train(was_training)

"""Running statistics of norms: common to all processes, and measured again after a training."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import all_reduce, broadcast, get_world_size
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn

    from mogabench.engine.model import Trained
    from mogabench.recipes import Recipe


@torch.no_grad()
def share_buffers(network: nn.Module) -> None:
    """Makes the buffers of all processes equal, as the gradients make the weights.

    Running means and variances become those of all processes, each of which saw other images; other
    buffers, such as counters and tables, become those of the first one. Done after each step, since
    then neither the moment of a checkpoint nor that of an evaluation shows in any number. It takes
    the place of what DistributedDataParallel does before each forward pass: there the first process
    overwrites the others' statistics, and those of the last step differ.

    Args:
        network: Changed in place; the same in every process.
    """
    if get_world_size() == 1:
        return
    averaged = [
        buffer
        for module in network.modules()
        if isinstance(module, _NormBase)
        for buffer in module.buffers(recurse=False)
        if buffer.is_floating_point()
    ]
    known = {id(buffer) for buffer in averaged}
    others = [buffer for buffer in network.buffers() if id(buffer) not in known]
    _at_once(averaged, lambda flat: all_reduce(flat, "mean"))
    _at_once(others, broadcast)


def _at_once(buffers: list[Tensor], communicate: Callable[[Tensor], None]) -> None:
    """Communicates buffers with one call for each type, in place."""
    for kind in dict.fromkeys(buffer.dtype for buffer in buffers):
        alike = [buffer for buffer in buffers if buffer.dtype == kind]
        flat = torch.cat([buffer.flatten() for buffer in alike])
        communicate(flat)
        parts = flat.split([buffer.numel() for buffer in alike])
        for buffer, part in zip(alike, parts, strict=True):
            buffer.copy_(part.view_as(buffer))


def batches_to_measure(recipe: Recipe, accumulation: int) -> int:
    """How many training batches the recipe's statistics are measured over; 0 for none.

    Args:
        recipe: Says over how many samples.
        accumulation: Batches per step.
    """
    return math.ceil((recipe.precise_bn or 0) / (recipe.batch_size // accumulation))


def check_changes(recipe: Recipe, model: Trained) -> None:
    """Refuses ``precise_bn`` where a training updates no batch norm: a record would state it.

    Args:
        recipe: What the training follows.
        model: What it trains; set to its training mode.

    Raises:
        UserError: It is refused.
    """
    samples = recipe.changes.get("precise_bn")
    if samples and not _updated_norms(model.train()):
        raise UserError(f"precise_bn={samples} has no effect: training updates no batch norm here")


def _updated_norms(model: Trained) -> list[_BatchNorm]:
    """The batch norms of a model in training mode whose statistics a step updates."""
    return [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
    ]


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
    norms = _updated_norms(model.train())
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

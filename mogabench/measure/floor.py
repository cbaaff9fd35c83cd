"""The least time that a network could take on a device: its floor in the roofline model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.utils._pytree import tree_leaves

from mogabench.measure.complexity import count
from mogabench.measure.settings import Rates, Roof

if TYPE_CHECKING:
    from torch import Tensor, nn

_TRAINING_OPERATIONS = 3
"""Each product of the forward pass has two in the backward pass, for the gradients of both factors.

The first layer's input has no gradient; of the whole that is 2 % in ResNet-18, less in others.
"""

_TRAINING_WEIGHTS = 6
"""AdamW reads and writes a weight and its two averages."""


class Work(NamedTuple):
    """What a network takes at least, in a pass or in a training step.

    What layers hand to each other is left out: caches and fused kernels may hold it.

    Attributes:
        operations: Floating-point operations in convolutions, linear layers and matrix products,
            for each sample; a multiply-accumulate is two.
        elements: Numbers in a sample and in what the network makes of it, read or written once.
        weights: Weights read or written, whatever the batch.
    """

    operations: int
    elements: int
    weights: int

    @property
    def of_training(self) -> Work:
        """The work of a training step, where this is that of a pass."""
        return Work(
            _TRAINING_OPERATIONS * self.operations, self.elements, _TRAINING_WEIGHTS * self.weights
        )


def work_of(network: nn.Module, *inputs: Tensor) -> Work:
    """The work of a forward pass.

    Args:
        network: In evaluation mode, on the meta device.
        *inputs: Its arguments for one sample, likewise.
    """
    outputs: list[Tensor] = []
    hook = network.register_forward_hook(lambda _module, _inputs, out: outputs.append(out))
    try:
        counted = count(network, *inputs)
    finally:
        hook.remove()
    elements = sum(tensor.numel() for tensor in tree_leaves([*inputs, *outputs]))
    return Work(2 * counted.operations["matmul"], elements, counted.parameters)


def floor_seconds(work: Work, batch_size: int, dtype: str, rates: Rates) -> float:
    """The longer of the times that the operations and the memory take at the device's rates.

    Args:
        work: Of one sample.
        batch_size: Samples.
        dtype: The type of the numbers.
        rates: The device's; the matrix rate is that of the type.
    """
    size: int = getattr(torch, dtype).itemsize
    moved = (batch_size * work.elements + work.weights) * size
    return max(batch_size * work.operations / rates.matrix, moved / rates.copy)


def roof(work: Work, batch_size: int, dtype: str, before: Rates, after: Rates) -> Roof:
    """What a time stands beside, from the rates before it and after it."""
    best = Rates(max(before.matrix, after.matrix), max(before.copy, after.copy))
    return Roof(
        matrix_rate=best.matrix,
        copy_rate=best.copy,
        rate_change=100 * (after.matrix / before.matrix - 1),
        floor=1000 * floor_seconds(work, batch_size, dtype, best),
    )

"""Networks as graphs of operators, by ``torch.export``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

_STRIDE = 32
_BATCH = 2
"""A batch of one would be taken for a fixed one."""


class Traced(NamedTuple):
    """A graph, and whether it takes images of any size."""

    program: ExportedProgram
    any_size: bool


def trace(network: nn.Module, image: Tensor, *, any_size: bool) -> Traced:
    """Traces a network for batches of any size.

    Args:
        network: In evaluation mode.
        image: One example input ``(1, …, H, W)``, whose values do not matter.
        any_size: Whether height and width are free as well, unless the network fixes them.

    Raises:
        UserError: The network does what a graph cannot hold.
    """
    *shape, height, width = image.shape[1:]
    if any_size:
        # A map of one cell would be taken for one of a fixed size, and equal sides for a rule.
        height, width = _enlarge(height, 2), _enlarge(width, 3)
    batch = torch.zeros(_BATCH, *shape, height, width)
    free = {0: Dim.DYNAMIC}
    if any_size:
        free |= dict.fromkeys((batch.ndim - 2, batch.ndim - 1), Dim.AUTO)
    try:
        program = torch.export.export(network, (batch,), dynamic_shapes=(free,))
    except Exception as error:  # it raises whatever the network's own code raises
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"torch.export cannot trace this network: {reason}") from error
    return Traced(program, any_size=all(_free_axes(program)))


def _enlarge(pixels: int, cells: int) -> int:
    """The next multiple of the coarsest map's stride, and some cells more."""
    return (-(-pixels // _STRIDE) + cells) * _STRIDE


def _free_axes(program: ExportedProgram) -> Iterator[bool]:
    """Whether height and width of the input are free."""
    inputs = [node for node in program.graph.nodes if node.op == "placeholder"]
    shape = inputs[-1].meta["val"].shape
    return (not isinstance(length, int) for length in shape[-2:])

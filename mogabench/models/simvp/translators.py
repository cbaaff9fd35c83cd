"""The translators of SimVP: what maps the features of all past frames to those of future ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from mogabench.errors import unknown
from mogabench.models.simvp.blocks import BLOCKS, Place
from mogabench.models.simvp.incepu import IncepUTranslator

if TYPE_CHECKING:
    from collections.abc import Callable

INCEPU = "incepu"
TRANSLATORS = (*BLOCKS, INCEPU)

_FIRST_DROP_PATH = 0.01


def make_translator(
    name: str,
    dim: int,
    size: tuple[int, int],
    *,
    hidden_dim: int,
    depth: int,
    mlp_ratio: float,
    drop_path: float,
) -> nn.Module:
    """Builds a translator that maps ``(B, dim, H, W)`` to the same shape.

    Args:
        name: One of `TRANSLATORS`.
        dim: Channels outside: those of all frames together.
        size: ``(H, W)``.
        hidden_dim: Channels inside.
        depth: Blocks; of IncepU as many each in the encoder and in the decoder.
        mlp_ratio: Of the blocks' MLPs; IncepU has none.
        drop_path: As of `SimVP`; IncepU and ConvMixer have none.

    Raises:
        UserError: There is no such translator.
    """
    if name == INCEPU:
        return IncepUTranslator(dim, hidden_dim, depth)
    if name not in BLOCKS:
        raise unknown("translator", name, TRANSLATORS)
    dims = [dim, *[hidden_dim] * (depth - 1), dim]
    places = [
        Place(
            index=index,
            dim=dims[index],
            out_dim=dims[index + 1],
            size=size,
            mlp_ratio=mlp_ratio,
            drop_path=_FIRST_DROP_PATH + (drop_path - _FIRST_DROP_PATH) * index / max(depth - 1, 1),
        )
        for index in range(depth)
    ]
    return BlockTranslator(BLOCKS[name], places)


class BlockTranslator(nn.Module):
    """Blocks in a row; a 1x1 convolution follows where the number of channels changes."""

    def __init__(self, block: Callable[[Place], nn.Module], places: list[Place]) -> None:
        super().__init__()
        self.enc = nn.Sequential(*(_Level(block, place) for place in places))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` to the same shape."""
        out: Tensor = self.enc(x)
        return out


class _Level(nn.Module):
    def __init__(self, block: Callable[[Place], nn.Module], place: Place) -> None:
        super().__init__()
        self.block = block(place)
        self.reduction: nn.Module = nn.Identity()
        if place.changes_width:
            self.reduction = nn.Conv2d(place.dim, place.out_dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.reduction(self.block(x))
        return out

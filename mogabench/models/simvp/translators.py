"""The translators of SimVP: what maps the features of all past frames to those of future ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from mogabench.errors import UserError, unknown
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
        UserError: There is no such translator, or it cannot have so many channels.
    """
    if name not in TRANSLATORS:
        raise unknown("translator", name, TRANSLATORS)
    try:
        if name == INCEPU:
            return IncepUTranslator(dim, hidden_dim, depth)
        places = _places(
            dim,
            size,
            hidden_dim=hidden_dim,
            depth=depth,
            mlp_ratio=mlp_ratio,
            drop_path=drop_path,
        )
        return BlockTranslator(BLOCKS[name], places)
    except (AssertionError, ValueError) as error:  # of heads or groups, by timm or PyTorch
        raise UserError(
            f"the translator {name} cannot have {dim} channels outside (frames times encoder_dim) "
            f"and {hidden_dim} inside (hidden_dim): take multiples of 8"
        ) from error


def _places(
    dim: int,
    size: tuple[int, int],
    *,
    hidden_dim: int,
    depth: int,
    mlp_ratio: float,
    drop_path: float,
) -> list[Place]:
    dims = [dim, *[hidden_dim] * (depth - 1), dim]
    return [
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

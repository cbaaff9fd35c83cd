"""Translators from outside this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mogabench.errors import UserError
from mogabench.models.simvp.blocks import BLOCKS, Place
from mogabench.models.simvp.translators import TRANSLATORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

__all__ = ["Place", "register_translator", "registered"]

_registered: dict[str, Callable[[Place], nn.Module]] = {}


def register_translator(name: str, block: Callable[[Place], nn.Module]) -> None:
    """Makes a translator of blocks known to SimVP, to the task ``video`` and to Table A14.

    Args:
        name: What ``--translator`` calls it.
        block: Makes the block for a place in the translator, which maps ``(N, dim, H, W)`` to the
            same shape, with its initial weights.

    Raises:
        UserError: Another translator has the name.
    """
    if name in TRANSLATORS or _registered.get(name, block) is not block:
        raise UserError(f"there is already a translator called '{name}'")
    _registered[name] = block
    cast("dict[str, Callable[[Place], nn.Module]]", BLOCKS)[name] = block


def registered() -> tuple[str, ...]:
    """The names of the translators from outside."""
    return tuple(_registered)

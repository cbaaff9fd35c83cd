"""Feature maps of timm networks in one layout."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mogabench.analysis.grid import find_grid
from mogabench.errors import UserError

if TYPE_CHECKING:
    from torch import nn


def last_map(network: nn.Module, images: Tensor) -> Tensor:
    """The feature map before the pooling, by timm's ``forward_features``.

    Args:
        network: A timm classifier.
        images: ``(N, C, H, W)``.

    Returns:
        ``(N, D, H', W')``.

    Raises:
        UserError: The network has no such method, or gives no single map.
    """
    forward: Any = getattr(network, "forward_features", None)
    if forward is None:
        raise UserError(
            f"{type(network).__name__} has no forward_features, timm's method for the feature map "
            "before the pooling"
        )
    return as_map(forward(images), network, images)


def as_map(features: Any, network: nn.Module, images: Tensor) -> Tensor:
    """Features of timm's layouts as a map ``(N, D, H', W')``.

    Args:
        features: ``(N, D, H', W')``, ``(N, H', W', D)``, or tokens ``(N, L, D)`` of a grid after
            the network's prefix tokens.
        network: Says by timm's ``output_fmt`` whether channels come last, how many tokens are no
            patches, and, if it is Hiera, in which order these are.
        images: What the features are of, ``(..., H, W)``.

    Raises:
        UserError: They are none of these.
    """
    if not isinstance(features, Tensor) or features.ndim not in (3, 4):
        raise UserError(f"{type(network).__name__} gives no single feature map")
    if features.ndim == 4:
        is_last = getattr(network, "output_fmt", "NCHW") == "NHWC"
        return features.permute(0, 3, 1, 2) if is_last else features
    patches = features[:, getattr(network, "num_prefix_tokens", 0) :]
    count, height, width = patches.shape[1], *images.shape[-2:]
    reroll: Any = getattr(network, "reroll", None)
    if reroll is not None:  # Hiera's tokens lie by windows, nested as each block's schedule says
        block = next(b for b, (_, size) in reroll.schedule.items() if prod(size) == count)
        rows: Tensor = reroll(patches, block)
        return rows.permute(0, 3, 1, 2)
    grid = find_grid((1, *patches.shape[1:]), (height, width))
    if grid is None or grid.prefix:
        raise UserError(
            f"{type(network).__name__} gives {count} tokens, which are not a map of "
            f"{height}x{width}"
        )
    return grid.maps(patches)

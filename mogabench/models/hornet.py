"""HorNet: recursive gated convolutions (Rao et al., NeurIPS 2022).

Its block is in ``mogabench.layers.hornet``. The global-filter form of the last two stages takes
half of its views in the frequency domain.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from mogabench.layers.convnext import RELEASED_NAMES, ConvNextLayout
from mogabench.layers.hornet import LOCAL_VIEW, HorBlock
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEPTHS = (2, 3, 18, 2)
ORDERS = (2, 3, 4, 5)
MLP_RATIO = 4
SCALE = 1 / 3
"""Factor of the views."""


class GlobalLocalFilter(nn.Module):
    """Half of the channels through a DW3x3, half through a filter on their whole spectrum.

    Args:
        dim: Channels.
        side: Side of the map, cells, that the filter is learned for; for another it is resized.
    """

    def __init__(self, dim: int, side: int) -> None:
        super().__init__()
        half = dim // 2
        self.dw = nn.Conv2d(half, half, 3, padding=1, bias=False, groups=half)
        # Of a real signal's spectrum half is redundant; the last axis is (real, imaginary).
        self.complex_weight = nn.Parameter(torch.empty(half, side, side // 2 + 1, 2))
        nn.init.trunc_normal_(self.complex_weight, std=0.02)
        self.pre_norm = LayerNorm2d(dim)
        self.post_norm = LayerNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape; a channel of each half, alternating."""
        near, far = self.pre_norm(x).chunk(2, dim=1)
        filtered = self._filter(far.float()).to(far.dtype)
        mixed = torch.stack([self.dw(near), filtered], dim=2).flatten(1, 2)
        normed: Tensor = self.post_norm(mixed)
        return normed

    def _filter(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(x, norm="ortho")
        weight = self.complex_weight.float().permute(3, 0, 1, 2)
        size = spectrum.shape[2:]
        if weight.shape[2:] != size:
            weight = nn.functional.interpolate(
                weight, size=size, mode="bilinear", align_corners=True
            )
        spectrum = spectrum * torch.complex(weight[0], weight[1])
        filtered: Tensor = torch.fft.irfft2(spectrum, s=x.shape[2:], norm="ortho")
        return filtered


class HorNet(ConvNextLayout):
    """Four stages of HorBlocks, of a higher order in each.

    Args:
        dim: Channels of the first stage; each later one has twice as many as the one before.
        filter_sides: Sides of the maps for which the last two stages have global filters; without
            any, all views are local.
        depths: Blocks of each stage.
        **kwargs: As ``ConvNextLayout`` has them.
    """

    def __init__(
        self,
        dim: int,
        filter_sides: Sequence[int] = (),
        *,
        depths: Sequence[int] = DEPTHS,
        **kwargs: Any,
    ) -> None:
        dims = [dim * 2**index for index in range(len(ORDERS))]
        views: list[Callable[[int], nn.Module]] = [LOCAL_VIEW] * (len(dims) - len(filter_sides))
        views += [partial(GlobalLocalFilter, side=side) for side in filter_sides]

        def block(index: int, drop_path: float) -> nn.Module:
            return HorBlock(
                dims[index],
                MLP_RATIO * dims[index],
                order=ORDERS[index],
                view=views[index],
                scale=SCALE,
                drop_path=drop_path,
            )

        super().__init__(dims, depths, block, **kwargs)


checkpoint_filter_fn = renaming(RELEASED_NAMES)

_register = partial(
    register_family,
    __name__,
    HorNet,
    checkpoint_filter_fn=checkpoint_filter_fn,
    first_conv="patch_embed1.0",
    classifier="head",
    origin_url="https://github.com/raoyongming/HorNet",
    paper_ids="arXiv:2207.14284",
)
_register(
    {
        "hornet_tiny": {"dim": 64},  # HorNet-T 7x7, 22.4 M parameters
        "hornet_small": {"dim": 96},  # HorNet-S 7x7, 49.5 M
        "hornet_base": {"dim": 128},  # HorNet-B 7x7, 87.3 M
    },
    pool_size=(7, 7),
)
_register(
    # HorNet-L with global filters, 201.8 M parameters.
    {"hornet_large_gf": {"dim": 192, "filter_sides": (24, 12)}},
    input_size=(3, 384, 384),
    pool_size=(12, 12),
    crop_pct=1.0,
    crop_mode="squash",
)

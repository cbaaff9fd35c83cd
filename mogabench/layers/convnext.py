"""The layout of ConvNeXt (Liu et al., CVPR 2022), which other families fill with their blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from timm.layers import LayerNorm2d, calculate_drop_path_rates
from torch import nn

from mogabench.layers.initialisation import init_linear_and_conv
from mogabench.layers.staged import Stage, StagedBackbone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mogabench.layers.backbone import HeadOptions


class ConvNextLayout(StagedBackbone):
    """Four stages, disjoint patches between them, a layer norm between pooling and classifier.

    Args:
        dims: Channels of each stage.
        depths: Blocks of each stage.
        block: Makes a block for the place of its stage, counted from 0, and its rate of stochastic
            depth.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        dims: Sequence[int],
        depths: Sequence[int],
        block: Callable[[int, float], nn.Module],
        *,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        drop_paths = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        stages: list[Stage] = []
        for index, (dim, rates) in enumerate(zip(dims, drop_paths, strict=True)):
            if index == 0:
                embed = nn.Sequential(nn.Conv2d(in_chans, dim, 4, stride=4), LayerNorm2d(dim))
            else:
                before = dims[index - 1]
                embed = nn.Sequential(LayerNorm2d(before), nn.Conv2d(before, dim, 2, stride=2))
            blocks = [block(index, rate) for rate in rates]
            stages.append((embed, nn.Sequential(*blocks), nn.Identity()))
        super().__init__(
            stages,
            dims,
            in_chans=in_chans,
            norm=nn.LayerNorm(dims[-1], eps=1e-6),
            norm_pooled=True,
            **head,
        )
        self.apply(init_linear_and_conv)


RELEASED_NAMES = {
    rf"^{released}\.{number - 1}\.": f"{ours}{number}."
    for released, ours in (("downsample_layers", "patch_embed"), ("stages", "blocks"))
    for number in (1, 2, 3, 4)
}
"""Rules for ``renaming``: from the stages' names in ConvNeXt's and the other families' releases."""

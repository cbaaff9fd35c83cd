"""UniRepLKNet: few large kernels among small ones, trained with dilated ones beside them.

By Ding et al. (CVPR 2024). ``mogabench.models.fuse`` gives the form for inference,
whose cost is the printed one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Unpack

import torch
from timm.layers import (
    DropPath,
    GlobalResponseNormMlp,
    LayerNorm2d,
    LayerScale2d,
    SqueezeExcite,
    calculate_drop_path_rates,
)
from torch import Tensor, nn

from mogabench.layers.convnext import RELEASED_NAMES
from mogabench.layers.fusion import (
    fold_norm,
    fuse_children,
    pointwise,
    pointwise_weights,
    split_norm,
)
from mogabench.layers.initialisation import init_linear_and_conv
from mogabench.layers.large_kernel import DILATED_NAMES, DilatedDepthwise
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming, reshaping
from mogabench.layers.staged import Stage, StagedBackbone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.layers.backbone import HeadOptions

LARGE_KERNEL = 13
SMALL_KERNEL = 3
DILATED = ((5, 1), (7, 2), (3, 3), (3, 4), (3, 5))
"""Side and dilation of the kernels beside the large one."""

MLP_RATIO = 4
INITIAL_SCALE = 1e-6


class UniRepBlock(nn.Module):
    """A depth-wise convolution, squeeze and excitation, an MLP with global response norm.

    Args:
        dim: Channels.
        large: Whether the kernel is the large one.
        drop_path: Rate of stochastic depth.
    """

    def __init__(self, dim: int, large: bool, drop_path: float) -> None:
        super().__init__()
        self.dwconv: nn.Module = (
            DilatedDepthwise(dim, LARGE_KERNEL, DILATED)
            if large
            else nn.Conv2d(dim, dim, SMALL_KERNEL, padding=1, groups=dim, bias=False)
        )
        self.norm: nn.Module = nn.BatchNorm2d(dim)
        self.se = SqueezeExcite(dim, rd_channels=dim // 4)
        self.mlp = GlobalResponseNormMlp(dim, MLP_RATIO * dim, bias=(True, False), use_conv=True)
        self.mlp_norm: nn.Module = nn.BatchNorm2d(dim)
        self.layer_scale: nn.Module = LayerScale2d(dim, INITIAL_SCALE)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        y = self.mlp_norm(self.mlp(self.se(self.norm(self.dwconv(x)))))
        mixed: Tensor = x + self.drop_path(self.layer_scale(y))
        return mixed

    def fused(self) -> nn.Module:
        """The same with one depth-wise kernel, and all that is affine in the convolutions."""
        fuse_children(self)
        if isinstance(self.dwconv, nn.Conv2d):
            self.dwconv, self.norm = fold_norm(self.dwconv, self.norm)
        self._fold_after_mlp()
        return self

    @torch.no_grad()
    def _fold_after_mlp(self) -> None:
        """Takes the response norm's shift, the batch norm and the scale into the last 1x1."""
        norm = split_norm(self.mlp_norm)
        if norm is None:
            return
        weight, bias = pointwise_weights(self.mlp.fc2)
        bias += weight @ self.mlp.grn.bias.double()
        scale = self.layer_scale.get_parameter("gamma").double()
        factor = norm.factor * scale
        self.mlp.fc2 = pointwise(
            weight * factor[:, None], bias * factor + norm.shift * scale, self.mlp.fc2
        )
        self.mlp_norm, self.layer_scale = nn.Identity(), nn.Identity()
        no_shift = torch.zeros_like(self.mlp.grn.bias)
        del self.mlp.grn.bias
        self.mlp.grn.register_buffer("bias", no_shift)


class UniRepLKNet(StagedBackbone):
    """Four stages with small kernels in the first, and large ones from then on.

    Args:
        dim: Channels of the first stage; each later one has twice as many as the one before.
        depths: Blocks of each stage.
        small_between: Blocks with small kernels after each large one of the third stage.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        dim: int,
        depths: Sequence[int],
        small_between: int = 0,
        *,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        dims = [dim * 2**index for index in range(len(depths))]
        drop_paths = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        embeds = [_stem(in_chans, dim), *(_halve(narrow, 2 * narrow) for narrow in dims[:-1])]
        stages: list[Stage] = []
        for index, (embed, wide, rates) in enumerate(zip(embeds, dims, drop_paths, strict=True)):
            period = 1 + small_between if index == 2 else 1
            blocks = [
                UniRepBlock(wide, index > 0 and place % period == 0, rate)
                for place, rate in enumerate(rates)
            ]
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


def _halve(in_chans: int, dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_chans, dim, 3, stride=2, padding=1), LayerNorm2d(dim))


def _stem(in_chans: int, dim: int) -> nn.Sequential:
    return nn.Sequential(*_halve(in_chans, dim // 2), nn.GELU(), *_halve(dim // 2, dim))


checkpoint_filter_fn = reshaping(
    renaming(
        {
            **RELEASED_NAMES,
            **DILATED_NAMES,
            r"\.se\.down\.": ".se.fc1.",
            r"\.se\.up\.": ".se.fc2.",
            r"\.pwconv1\.1\.": ".mlp.fc1.",
            r"\.act\.1\.gamma$": ".mlp.grn.weight",
            r"\.act\.1\.beta$": ".mlp.grn.bias",
            r"\.pwconv2\.0\.": ".mlp.fc2.",
            r"\.pwconv2\.2\.": ".mlp_norm.",
            r"^(blocks\d\.\d+)\.gamma$": r"\1.layer_scale.gamma",
        }
    )
)

SHALLOW, DEEP, DEEPER = (2, 2, 6, 2), (3, 3, 18, 3), (3, 3, 27, 3)

_register = partial(
    register_family,
    __name__,
    UniRepLKNet,
    checkpoint_filter_fn=checkpoint_filter_fn,
    first_conv="patch_embed1.0",
    classifier="head",
    origin_url="https://github.com/AILab-CVC/UniRepLKNet",
    paper_ids="arXiv:2311.15599",
)
_register(
    {
        "unireplknet_a": {"dim": 40, "depths": SHALLOW},
        "unireplknet_f": {"dim": 48, "depths": SHALLOW},
        "unireplknet_p": {"dim": 64, "depths": SHALLOW},
        "unireplknet_n": {"dim": 80, "depths": (2, 2, 8, 2)},
        "unireplknet_t": {"dim": 80, "depths": DEEP, "small_between": 1},
        "unireplknet_s": {"dim": 96, "depths": DEEPER, "small_between": 2},
    },
    pool_size=(7, 7),
)
# Released for images of this side alone, after training on ImageNet-22K.
_register(
    {
        "unireplknet_b": {"dim": 128, "depths": DEEPER, "small_between": 2},
        "unireplknet_l": {"dim": 192, "depths": DEEPER, "small_between": 2},
        "unireplknet_xl": {"dim": 256, "depths": DEEPER, "small_between": 2},
    },
    input_size=(3, 384, 384),
    pool_size=(12, 12),
    crop_pct=1.0,
    crop_mode="squash",
)

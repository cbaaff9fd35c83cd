"""RepLKNet: depth-wise kernels of 31x31 (Ding et al., CVPR 2022), with the 5x5 ones beside them.

The 5x5 ones, which help training, could be merged into the large ones; the papers' figures
include them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Unpack

from timm.layers import ConvNormAct, DropPath, calculate_drop_path_rates
from torch import Tensor, nn

from mogabench.layers.large_kernel import ParallelDepthwise
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming
from mogabench.layers.staged import Stage, StagedBackbone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.layers.backbone import HeadOptions

KERNELS = (31, 29, 27, 13)
"""Kernel size of each stage."""

SMALL_KERNEL = 5
MLP_RATIO = 4
DEPTHS = (2, 2, 18, 2)


class LargeKernelBlock(nn.Module):
    """A large depth-wise convolution between two 1x1, added to its input."""

    def __init__(self, dim: int, kernel_size: int, drop_path: float) -> None:
        super().__init__()
        self.prelkb_bn = nn.BatchNorm2d(dim)
        self.pw1 = ConvNormAct(dim, dim, 1)
        kernels = {"lkb_origin": kernel_size, "small_conv": SMALL_KERNEL}
        self.large_kernel = ParallelDepthwise(dim, kernels)
        self.lk_nonlinear = nn.ReLU()
        self.pw2 = ConvNormAct(dim, dim, 1, apply_act=False)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        y = self.pw2(self.lk_nonlinear(self.large_kernel(self.pw1(self.prelkb_bn(x)))))
        mixed: Tensor = x + self.drop_path(y)
        return mixed


class ConvFfn(nn.Module):
    """Two 1x1 convolutions, added to their input."""

    def __init__(self, dim: int, drop_path: float) -> None:
        super().__init__()
        self.preffn_bn = nn.BatchNorm2d(dim)
        self.pw1 = ConvNormAct(dim, MLP_RATIO * dim, 1, act_layer=nn.GELU)
        self.pw2 = ConvNormAct(MLP_RATIO * dim, dim, 1, apply_act=False)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        mixed: Tensor = x + self.drop_path(self.pw2(self.pw1(self.preffn_bn(x))))
        return mixed


class RepLKNet(StagedBackbone):
    """Four stages, in which large-kernel blocks and MLPs alternate.

    Args:
        dim: Channels of the first stage; each later one has twice as many as the one before.
        depths: Large-kernel blocks of each stage.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        dim: int,
        *,
        depths: Sequence[int] = DEPTHS,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        dims = [dim * 2**index for index in range(len(depths))]
        drop_paths = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        embeds = [_stem(in_chans, dim), *(_transition(narrow) for narrow in dims[:-1])]
        stages: list[Stage] = []
        for embed, wide, kernel_size, rates in zip(embeds, dims, KERNELS, drop_paths, strict=True):
            blocks = [
                block
                for rate in rates
                for block in (LargeKernelBlock(wide, kernel_size, rate), ConvFfn(wide, rate))
            ]
            stages.append((embed, nn.Sequential(*blocks), nn.Identity()))
        super().__init__(stages, dims, in_chans=in_chans, norm=nn.BatchNorm2d(dims[-1]), **head)


def _stem(in_chans: int, dim: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(in_chans, dim, 3, stride=2),
        ConvNormAct(dim, dim, 3, groups=dim),
        ConvNormAct(dim, dim, 1),
        ConvNormAct(dim, dim, 3, stride=2, groups=dim),
    )


def _transition(dim: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(dim, 2 * dim, 1), ConvNormAct(2 * dim, 2 * dim, 3, stride=2, groups=2 * dim)
    )


checkpoint_filter_fn = renaming(
    {
        r"^stem\.": "patch_embed1.",
        **{rf"^transitions\.{number - 2}\.": f"patch_embed{number}." for number in (2, 3, 4)},
        **{rf"^stages\.{number - 1}\.blocks\.": f"blocks{number}." for number in (1, 2, 3, 4)},
    }
)

_register = partial(
    register_family,
    __name__,
    RepLKNet,
    checkpoint_filter_fn=checkpoint_filter_fn,
    first_conv="patch_embed1.0.conv",
    classifier="head",
    origin_url="https://github.com/DingXiaoH/RepLKNet-pytorch",
    paper_ids="arXiv:2203.06717",
)
# RepLKNet-31B, 79.9 M parameters; RepLKNet-31L, 172.7 M.
_register({"replknet_31b": {"dim": 128}}, pool_size=(7, 7))
_register(
    {"replknet_31l": {"dim": 192}},
    input_size=(3, 384, 384),
    pool_size=(12, 12),
    crop_pct=1.0,
    crop_mode="squash",
)

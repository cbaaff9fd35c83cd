"""RSN, the residual steps network for poses (Cai et al., ECCV 2020), with one stage.

It gives heat maps itself: one per key point, at a quarter of the image's resolution.
"""

from __future__ import annotations

import torch
from timm.layers import ConvNormAct
from torch import Tensor, nn

from mogabench.errors import UserError
from mogabench.layers.backbone import Backbone
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming

BRANCHES = 4
STEM_DIM = 64
DIMS = (64, 128, 256, 512)
BLOCKS = 2
UP_DIM = 256
STRIDE = 4


class StepsBlock(nn.Module):
    """Four branches of one to four 3x3, where each step also gets the branch before's.

    Args:
        in_chans: Channels before.
        dim: Channels after.
        stride: Of the first convolution.
    """

    def __init__(self, in_chans: int, dim: int, stride: int = 1) -> None:
        super().__init__()
        narrow = in_chans * 26 // 64  # per branch, as released
        self.conv_bn_relu1 = _conv(in_chans, BRANCHES * narrow, 1, stride=stride)
        for branch in range(1, BRANCHES + 1):
            for step in range(1, branch + 1):
                self.add_module(f"conv_bn_relu2_{branch}_{step}", _conv(narrow, narrow, 3))
        self.conv_bn_relu3 = _conv(BRANCHES * narrow, dim, 1, act=False)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_chans != dim:
            self.downsample = _conv(in_chans, dim, 1, stride=stride, act=False)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C, H/stride, W/stride)``."""
        ends = []
        before: list[Tensor] = []
        for branch, share in enumerate(self.conv_bn_relu1(x).chunk(BRANCHES, dim=1), 1):
            own: list[Tensor] = []
            for step in range(1, branch + 1):
                given = own[-1] if own else share
                if step <= len(before):
                    given = given + before[step - 1]
                own.append(self.get_submodule(f"conv_bn_relu2_{branch}_{step}")(given))
            ends.append(own[-1])
            before = own
        joined = self.conv_bn_relu3(torch.cat(ends, dim=1))
        mixed: Tensor = self.relu(joined + self.downsample(x))
        return mixed


def _conv(
    in_chans: int, dim: int, kernel_size: int, *, stride: int = 1, act: bool = True
) -> nn.Module:
    conv: nn.Module = ConvNormAct(
        in_chans, dim, kernel_size, stride=stride, bias=True, apply_act=act
    )
    return conv


class Down(nn.Module):
    """Four stages of blocks: maps at strides 4 to 32, the finest first."""

    def __init__(self) -> None:
        super().__init__()
        before = STEM_DIM
        for number, dim in enumerate(DIMS, 1):
            first = StepsBlock(before, dim, stride=1 if number == 1 else 2)
            others = (StepsBlock(dim, dim) for _ in range(BLOCKS - 1))
            self.add_module(f"layer{number}", nn.Sequential(first, *others))
            before = dim

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps ``(N, 64, H, W)`` to ``(N, C_i, H_i, W_i)``."""
        maps = []
        for stage in self.children():
            x = stage(x)
            maps.append(x)
        return maps


class UpUnit(nn.Module):
    """A map joined with the coarser ones, and heat maps of it.

    Args:
        dim: Channels of the map.
        keypoints: Number of heat maps.
        coarsest: Whether no coarser map comes before.
    """

    def __init__(self, dim: int, keypoints: int, *, coarsest: bool) -> None:
        super().__init__()
        self.u_skip = _conv(dim, UP_DIM, 1, act=False)
        if not coarsest:
            self.up_conv = _conv(UP_DIM, UP_DIM, 1, act=False)
        self.res_conv1 = _conv(UP_DIM, UP_DIM, 1)
        self.res_conv2 = _conv(UP_DIM, keypoints, 3, act=False)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor, coarser: Tensor | None) -> tuple[Tensor, Tensor]:
        """Maps ``(N, C, H, W)`` to ``(N, 256, H, W)`` and heat maps ``(N, K, H, W)``."""
        joined = self.u_skip(x)
        if coarser is not None:
            joined = joined + self.up_conv(_enlarge(coarser, x.shape[2:]))
        joined = self.relu(joined)
        return joined, self.res_conv2(self.res_conv1(joined))


def _enlarge(x: Tensor, size: torch.Size) -> Tensor:
    return nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=True)


class Up(nn.Module):
    """From the coarsest map to the finest; heat maps of all are as large as the finest's."""

    def __init__(self, keypoints: int) -> None:
        super().__init__()
        for number, dim in enumerate(reversed(DIMS), 1):
            unit = UpUnit(dim, keypoints, coarsest=number == 1)
            self.add_module(f"up{number}", unit)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps ``(N, C_i, H_i, W_i)``, finest first, to heat maps ``(N, K, H, W)``, finest last."""
        heatmaps = []
        joined = None
        for unit, x in zip(self.children(), reversed(maps), strict=True):
            joined, found = unit(x, joined)
            heatmaps.append(_enlarge(found, maps[0].shape[2:]))
        return heatmaps


class Last(nn.Module):
    """The last of a list of maps."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Picks it."""
        return maps[-1]


class Rsn(Backbone):
    """A stem, four stages down, four units up; the finest unit's heat maps come out.

    The other units' heat maps are there, as published, for a loss that asks for them.

    Args:
        in_chans: Channels of the images.
        keypoints: Number of heat maps.
        num_classes: 0, as there is no classifier.
        global_pool: timm's name of a pooling of the heat maps; empty for none.

    Raises:
        UserError: A classifier is asked for.
    """

    def __init__(
        self,
        *,
        in_chans: int = 3,
        keypoints: int = 17,
        num_classes: int = 0,
        global_pool: str = "",
    ) -> None:
        stem = nn.Sequential(
            _conv(in_chans, STEM_DIM, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1)
        )
        down = Down()
        parts = {"top": stem, "downsample": down, "upsample": Up(keypoints), "finest": Last()}
        super().__init__(
            [parts],
            [keypoints],
            [STRIDE],
            in_chans=in_chans,
            num_classes=num_classes,
            global_pool=global_pool,
        )
        down.apply(_init_weights)

    def _make_head(self, num_classes: int, global_pool: str) -> None:
        if num_classes:
            raise UserError("RSN finds key points and has no classifier; use it for task pose")
        super()._make_head(num_classes, global_pool)


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


checkpoint_filter_fn = renaming({r"^top\.conv\.": "top.0.", r"^stage0\.": ""})


register_family(
    __name__,
    Rsn,
    {"rsn_18": {}},  # RSN-18, 9.16 M parameters
    features={"out_indices": (0,)},
    checkpoint_filter_fn=checkpoint_filter_fn,
    input_size=(3, 256, 192),
    num_classes=0,
    pool_size=(64, 48),
    first_conv="top.0.conv",
    classifier=None,
    origin_url="https://github.com/caiyuanhao1998/RSN",
    paper_ids="arXiv:2003.04030",
)

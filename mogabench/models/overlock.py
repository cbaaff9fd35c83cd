"""OverLoCK: an overview of an image, which guides a closer look (Lou and Yu, CVPR 2025).

Its blocks are in ``mogabench.layers.overlock``. The authors' training adds the loss of a
classifier of the overview, which is left out here. Of the two forms that they release,
``mogabench.models.fuse`` gives the one with merged kernels, whose cost is the printed one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import torch
from timm.layers import calculate_drop_path_rates
from torch import Tensor, nn
from torch.nn import functional

from mogabench.layers.backbone import Backbone
from mogabench.layers.convolutions import conv_norm
from mogabench.layers.initialisation import init_linear_and_conv
from mogabench.layers.large_kernel import DILATED_NAMES
from mogabench.layers.overlock import BaseBlock, FocusBlock
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming, reshaping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mogabench.layers.backbone import HeadOptions
    from mogabench.layers.released import StateDict

KERNELS = (17, 15, 13, 7)
"""Side of the large kernels at each stride, 4 to 32."""

STRIDES = (4, 8, 16, 32)
State = tuple[Tensor, Tensor]
"""Map and context joined ``(N, C + D, H, W)``, and the overview ``(N, D, H', W')``."""

HEAD_DIM = 1024


class Overview(nn.Module):
    """Blocks at half the resolution, whose map becomes the context of the one that comes in.

    Args:
        dim: Channels that come in.
        blocks: What follows the convolution that halves the sides.
        out_dim: Channels of the blocks.
        context_dim: Channels of the context.
    """

    def __init__(self, dim: int, blocks: nn.Module, out_dim: int, context_dim: int) -> None:
        super().__init__()
        self.patch_embed = conv_norm(dim, out_dim, 3, stride=2)
        self.blocks = blocks
        self.proj = nn.Conv2d(out_dim, context_dim, 1)

    def forward(self, x: Tensor) -> State:
        """Maps ``(N, C, H, W)`` to map and context joined, and the overview at half the sides."""
        overview = self.proj(self.blocks(self.patch_embed(x)))
        return torch.cat([x, _enlarge(overview, x.shape[2:])], dim=1), overview


class Halve(nn.Module):
    """Halves the sides of a map and of its context, each by a convolution of its own."""

    def __init__(self, dim: int, out_dim: int, context_dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.x_proj = conv_norm(dim, out_dim, 3, stride=2)
        self.h_proj = conv_norm(context_dim, context_dim, 3, stride=2)

    def forward(self, state: State) -> State:
        """Maps ``(N, C + D, H, W)`` to ``(N, C_out + D, H/2, W/2)``; the overview stays."""
        joined, overview = state
        x, context = joined[:, : self.dim], joined[:, self.dim :]
        return torch.cat([self.x_proj(x), self.h_proj(context)], dim=1), overview


class Focus(nn.ModuleList):
    """Blocks, each of which gets the overview at the map's size."""

    def forward(self, state: State) -> State:
        """Maps ``(N, C + D, H, W)`` to the same shape; the overview stays."""
        joined, overview = state
        enlarged = _enlarge(overview, joined.shape[2:])
        for block in self:
            joined = block(joined, enlarged)
        return joined, overview


def _enlarge(x: Tensor, size: torch.Size) -> Tensor:
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


class OverLoCK(Backbone):
    """A base up to stride 16, an overview of it at stride 32, and a focus at strides 16 and 32.

    The feature maps of the last two stages are the focus's, joined with their contexts. The
    authors' form for dense tasks adds the overview to the last one by a layer of its own.

    Args:
        dims: Channels at each stride, 4 to 32.
        depths: Blocks of the base at strides 4, 8 and 16, and of the overview.
        focus_depths: Blocks of the focus at strides 16 and 32.
        focus_heads: Groups of channels of their dynamic kernels, in each half.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        dims: Sequence[int],
        depths: Sequence[int],
        focus_depths: Sequence[int],
        focus_heads: Sequence[int],
        *,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        rates = calculate_drop_path_rates(drop_path_rate, [*depths, *focus_depths], stagewise=True)
        *base, overview = (_blocks(*place) for place in zip(range(4), dims, rates[:4], strict=True))
        context_dim = dims[3] // 4
        focus = [
            Focus(
                FocusBlock(
                    dim, context_dim, kernel_size, heads, rate, first=(stage, place) == (0, 0)
                )
                for place, rate in enumerate(rates[4 + stage])
            )
            for stage, (dim, kernel_size, heads) in enumerate(
                zip(dims[2:], KERNELS[2:], focus_heads, strict=True)
            )
        ]
        stages: list[dict[str, nn.Module]] = [
            {"patch_embed1": _stem(in_chans, dims[0]), "blocks1": base[0]},
            {"patch_embed2": conv_norm(dims[0], dims[1], 3, stride=2), "blocks2": base[1]},
            {
                "patch_embed3": conv_norm(dims[1], dims[2], 3, stride=2),
                "blocks3": base[2],
                "overview3": Overview(dims[2], overview, dims[3], context_dim),
                "focus3": focus[0],
            },
            {"halve4": Halve(dims[2], dims[3], context_dim), "focus4": focus[1]},
        ]
        widths = [*dims[:2], *(dim + context_dim for dim in dims[2:])]
        super().__init__(
            stages,
            widths,
            STRIDES,
            in_chans=in_chans,
            norm=nn.Sequential(*conv_norm(widths[-1], HEAD_DIM, 1), nn.SiLU()),
            num_features=HEAD_DIM,
            **head,
        )
        self.apply(init_linear_and_conv)

    @property
    def level_norm(self) -> nn.Module:
        """What the authors' detectors and segmentors put behind each level."""
        return nn.LayerNorm(self.feature_info[-1]["num_chs"], eps=1e-6)

    def _normed_map(self, x: Any) -> Tensor:
        return super()._normed_map(self._feature_map(x))


def _blocks(stage: int, dim: int, rates: Sequence[float]) -> nn.Sequential:
    scaled = stage >= 2
    return nn.Sequential(*(BaseBlock(dim, KERNELS[stage], rate, scaled=scaled) for rate in rates))


def _stem(in_chans: int, dim: int) -> nn.Sequential:
    half = dim // 2
    return nn.Sequential(
        *conv_norm(in_chans, half, 3, stride=2),
        nn.GELU(),
        *conv_norm(half, half, 3),
        nn.GELU(),
        *conv_norm(half, dim, 3, stride=2),
        nn.GELU(),
        *conv_norm(dim, dim, 3),
    )


_rename = reshaping(
    renaming(
        {
            **DILATED_NAMES,
            r"^patch_embed4\.": "overview3.patch_embed.",
            r"^blocks4\.": "overview3.blocks.",
            r"^high_level_proj\.": "overview3.proj.",
            r"^patch_embedx\.": "halve4.",
            r"^sub_blocks(\d)\.": r"focus\1.",
            r"^(focus\d\.\d+)\.(weight_|rpb|dyconv_proj)": r"\1.mixing.\2",
            r"\.(proj\.3|se_layer)\.proj\.1\.": r".\1.fc1.",
            r"\.(proj\.3|se_layer)\.proj\.3\.": r".\1.fc2.",
            r"\.gamma$": ".weight",
            r"\.beta$": ".bias",
            r"^head\.([01])\.": r"norm.\1.",
            r"^head\.4\.": "head.",
        }
    )
)


def checkpoint_filter_fn(state_dict: Mapping[str, Tensor], model: nn.Module) -> StateDict:
    """Translates the released names; the overview's own classifier is left out."""
    renamed = _rename(state_dict, model)
    return {name: x for name, x in renamed.items() if not name.startswith("aux_head.")}


_register = partial(
    register_family,
    __name__,
    OverLoCK,
    features={"out_indices": (0, 1, 2, 3), "feature_cls": "getter"},
    checkpoint_filter_fn=checkpoint_filter_fn,
    pool_size=(7, 7),
    first_conv="patch_embed1.0",
    classifier="head",
    origin_url="https://github.com/LMMMEng/OverLoCK",
    paper_ids="arXiv:2502.20087",
)
_register(
    {
        "overlock_xt": {
            "dims": (56, 112, 256, 336),
            "depths": (2, 2, 3, 2),
            "focus_depths": (6, 2),
            "focus_heads": (8, 12),
        }
    },
    crop_pct=0.925,
)
_register(
    {
        "overlock_t": {
            "dims": (64, 128, 256, 512),
            "depths": (4, 4, 6, 2),
            "focus_depths": (12, 2),
            "focus_heads": (8, 16),
        },
        "overlock_s": {
            "dims": (64, 128, 320, 512),
            "depths": (6, 6, 8, 3),
            "focus_depths": (16, 3),
            "focus_heads": (16, 32),
        },
    },
    crop_pct=0.95,
)
_register(
    {
        "overlock_b": {
            "dims": (80, 160, 384, 576),
            "depths": (8, 8, 10, 4),
            "focus_depths": (20, 4),
            "focus_heads": (12, 18),
        }
    },
    crop_pct=0.975,
)

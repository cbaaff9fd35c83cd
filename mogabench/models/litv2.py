"""LITv2: convolutional MLPs in the early stages, HiLo attention later (Pan et al., NeurIPS 2022).

Between stages tokens are merged by a deformable convolution. For detection the original also has
forms with windows of 4 instead of 2 tokens, such as ``litv2_medium_ws4``; the weights are shared.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Unpack

import torch
from timm.layers import DropPath, LayerNorm2d, calculate_drop_path_rates
from torch import Tensor, nn
from torchvision.ops import DeformConv2d, deform_conv2d

from mogabench.layers.convolutions import depthwise_conv
from mogabench.layers.initialisation import init_conv, init_linear
from mogabench.layers.registration import register_family
from mogabench.layers.released import SWIN_NAMES, renaming
from mogabench.layers.staged import Stage, StagedBackbone
from mogabench.layers.transformer import ToMap, TransformerBlock, attend, patch_embed
from mogabench.layers.windows import in_windows, pad_to_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mogabench.layers.backbone import HeadOptions

HEAD_DIM = 32
MLP_RATIO = 4
LOW_FREQUENCY_SHARE = 0.9
"""Share of the heads that attend to a pooled map; the rest attend within windows."""


class PreciseDeformConv2d(DeformConv2d):
    """A deformable convolution in float32 or better: torchvision has none in half on the CPU."""

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` and offsets of the kernel's places to ``(N, C, H', W')``."""
        dtype = torch.promote_types(x.dtype, torch.float32)
        inputs = (tensor.to(dtype) for tensor in (x, offset, self.weight, self.bias))
        convolved: Tensor = deform_conv2d(*inputs, stride=self.stride)
        return convolved.to(x.dtype)


class DeformableMerge(nn.Module):
    """A 2x2 stride-2 deformable convolution with batch norm and GELU."""

    def __init__(self, in_chans: int, dim: int) -> None:
        super().__init__()
        self.conv_offset = nn.Conv2d(in_chans, 2 * 2 * 2, 2, stride=2)
        self.dconv = PreciseDeformConv2d(in_chans, dim, 2, stride=2)
        self.norm_layer = nn.BatchNorm2d(dim)
        self.act_layer = nn.GELU()
        for parameter in self.conv_offset.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, H/2, W/2, C)``."""
        merged = self.dconv(x, self.conv_offset(x))
        activated: Tensor = self.act_layer(self.norm_layer(merged)).permute(0, 2, 3, 1)
        return activated


class HiLo(nn.Module):
    """Some heads attend to a pooled map (low frequencies), the others within windows (high).

    Args:
        dim: Channels.
        window: Side of a window and of what is pooled into one key; with 1 all heads attend to
            the whole map.
    """

    def __init__(self, dim: int, window: int) -> None:
        super().__init__()
        heads = dim // HEAD_DIM
        self.window = window
        self.l_heads = heads if window == 1 else int(heads * LOW_FREQUENCY_SHARE)
        self.h_heads = heads - self.l_heads
        low, high = self.l_heads * HEAD_DIM, self.h_heads * HEAD_DIM
        self.sr = nn.AvgPool2d(window) if window > 1 else nn.Identity()
        self.l_q = nn.Linear(dim, low)
        self.l_kv = nn.Linear(dim, 2 * low)
        self.l_proj = nn.Linear(low, low)
        if self.h_heads:
            self.h_qkv = nn.Linear(dim, 3 * high)
            self.h_proj = nn.Linear(high, high)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)`` to the same shape; windows are filled up with zeros."""
        height, width = x.shape[1:3]
        size = (self.window, self.window)
        padded = pad_to_windows(x, size)
        low = self._low(padded)[:, :height, :width]
        if not self.h_heads:
            return low
        high = in_windows(self._high, x, size)
        return torch.cat([high, low], dim=-1)

    def _low(self, x: Tensor) -> Tensor:
        pooled = self.sr(x.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2)
        key, value = self.l_kv(pooled).chunk(2, dim=-1)
        mixed = attend(self.l_q(x).flatten(1, 2), key, value, self.l_heads)
        projected: Tensor = self.l_proj(mixed).view(*x.shape[:3], -1)
        return projected

    def _high(self, tokens: Tensor) -> Tensor:
        query, key, value = self.h_qkv(tokens).chunk(3, dim=-1)
        projected: Tensor = self.h_proj(attend(query, key, value, self.h_heads))
        return projected


class ConvolutionalMlp(nn.Module):
    """An MLP with a DW3x3 before the activation."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, MLP_RATIO * dim)
        self.dwconv = depthwise_conv(MLP_RATIO * dim, 3)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(MLP_RATIO * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)`` to the same shape."""
        hidden = self.dwconv(self.fc1(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        out: Tensor = self.fc2(self.act(hidden))
        return out


class MlpBlock(nn.Module):
    """The convolutional MLP alone, normalised before and added to what went in."""

    def __init__(self, dim: int, drop_path: float) -> None:
        super().__init__()
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = ConvolutionalMlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, H, W, C)`` to the same shape."""
        mixed: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return mixed


class HiLoBlock(TransformerBlock):
    """HiLo attention, then the convolutional MLP."""

    def __init__(self, dim: int, drop_path: float, window: int) -> None:
        super().__init__(dim, HiLo(dim, window), ConvolutionalMlp(dim), drop_path=drop_path)


class LITv2(StagedBackbone):
    """Two stages of MLP blocks, two with HiLo attention.

    Args:
        dim: Channels of the first stage; each later one has twice as many as the one before.
        depths: Blocks of each stage.
        window: Side of HiLo's windows in the third stage; the last attends to the whole map.
        in_chans: Channels of the images.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        **head: As ``HeadOptions`` has them.
    """

    def __init__(
        self,
        dim: int,
        depths: Sequence[int],
        *,
        window: int = 2,
        in_chans: int = 3,
        drop_path_rate: float = 0.0,
        **head: Unpack[HeadOptions],
    ) -> None:
        dims = [dim * 2**index for index in range(len(depths))]
        drop_paths = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        embeds = [
            patch_embed(in_chans, dim, 4, pad=True),
            *(DeformableMerge(narrow, 2 * narrow) for narrow in dims[:-1]),
        ]
        kinds: tuple[Callable[[int, float], nn.Module], ...] = (
            MlpBlock,
            MlpBlock,
            partial(HiLoBlock, window=window),
            partial(HiLoBlock, window=1),
        )
        stages: list[Stage] = []
        for embed, wide, kind, rates in zip(embeds, dims, kinds, drop_paths, strict=True):
            blocks = [kind(wide, rate) for rate in rates]
            stages.append((embed, nn.Sequential(*blocks), ToMap()))
        super().__init__(
            stages, dims, in_chans=in_chans, norm=LayerNorm2d(dims[-1], eps=1e-5), **head
        )
        self.apply(init_linear)
        for module in self.modules():
            if isinstance(module, ConvolutionalMlp):
                init_conv(module.dwconv)


checkpoint_filter_fn = renaming(
    {
        **SWIN_NAMES,
        r"\.dconv\.conv_offset\.": ".conv_offset.",
        r"\.dwconv\.dwconv\.": ".dwconv.",
    }
)

_SMALL = {"dim": 96, "depths": (2, 2, 6, 2)}
_MEDIUM = {"dim": 96, "depths": (2, 2, 18, 2)}

register_family(
    __name__,
    LITv2,
    {
        "litv2_small": _SMALL,  # LITv2-S, 27.8 M parameters
        "litv2_small_ws4": {**_SMALL, "window": 4},
        "litv2_medium": _MEDIUM,  # LITv2-M, 48.8 M
        "litv2_medium_ws4": {**_MEDIUM, "window": 4},  # whose figures Table A9 has
        "litv2_base": {"dim": 128, "depths": (2, 2, 18, 2)},  # LITv2-B, 86.5 M
    },
    checkpoint_filter_fn=checkpoint_filter_fn,
    pool_size=(7, 7),
    first_conv="patch_embed1.proj",
    classifier="head",
    origin_url="https://github.com/ziplab/LITv2",
    paper_ids="arXiv:2205.13213",
)

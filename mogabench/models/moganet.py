"""MogaNet (Li et al., ICLR 2024) in its six sizes, with every ablation of the paper as an option.

The state dict has the names and shapes of the released one. With default options the network
computes what the released network computes.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from torch import Tensor, nn

from mogabench.errors import UserError
from mogabench.layers.fused_moga import fuse_moga_block
from mogabench.layers.fusion import fold_norm, fold_norms, fuse_children, split_norm
from mogabench.layers.initialisation import init_conv
from mogabench.layers.moga import (
    NORMS,
    ChannelAggregation,
    MogaBlock,
    SpatialAggregation,
    choose,
)
from mogabench.layers.registration import register_family
from mogabench.layers.staged import Stage, StagedBackbone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class StemEmbed(nn.Module):
    """The first embedding: two 3x3 stride-2 convolutions, each normalised, GELU between them."""

    def __init__(self, in_chans: int, dim: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.projection = nn.Sequential(
            nn.Conv2d(in_chans, dim // 2, 3, stride=2, padding=1),
            norm(dim // 2),
            nn.GELU(),
            nn.Conv2d(dim // 2, dim, 3, stride=2, padding=1),
            norm(dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C, H/4, W/4)``."""
        embedded: Tensor = self.projection(x)
        return embedded

    def fused(self) -> StemEmbed:
        """The embedding for inference."""
        self.projection = fold_norms(self.projection)
        return self


class ConvEmbed(nn.Module):
    """A later embedding: one 3x3 stride-2 convolution, normalised."""

    def __init__(self, in_chans: int, dim: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_chans, dim, 3, stride=2, padding=1)
        self.norm = norm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C_in, H, W)`` to ``(N, C, H/2, W/2)``."""
        embedded: Tensor = self.norm(self.projection(x))
        return embedded

    def fused(self) -> ConvEmbed:
        """The embedding for inference."""
        self.projection, self.norm = fold_norm(self.projection, self.norm)
        return self


class MogaNet(StagedBackbone):
    """Four stages of Moga blocks, each begun by an embedding and ended by a norm (Sec. 4, Fig. 2).

    Args:
        dims: Channels of each stage (Table A1).
        depths: Blocks of each stage.
        mlp_ratios: Hidden over outer channels of the channel aggregation, one for each stage or
            one for all.
        in_chans: Channels of the images.
        num_classes: Outputs of the classifier; 0 for none.
        global_pool: timm's name of the pooling before the classifier; empty for none.
        drop_rate: Dropout inside the channel aggregation, as in the released network.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        gate: See :class:`SpatialAggregation`, for this and the next six.
        gate_act: Activation of the gating branch (Table A4).
        value_act: Activation of the context branch (Table A4).
        depthwise: Depth-wise layers of the context branch (Table A5).
        split: Ratio of the multi-order channels (Table A5).
        feature_decomposition: Whether to have FD (Table 1, Fig. 7).
        attn_force_fp32: Whether the gating runs in float32; weights trained so need it.
        channel_aggregation: ``ca``, ``se`` or ``none`` (Table 1, Fig. 4c).
        norm_within: ``bn`` or ``ln`` in embeddings and blocks (Table A6).
        norm_after: ``bn`` or ``ln`` after each stage (Table A6).

    Raises:
        UserError: An option is not among the valid ones.
    """

    def __init__(
        self,
        dims: Sequence[int],
        depths: Sequence[int],
        mlp_ratios: float | Sequence[float] = (8, 8, 4, 4),
        *,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = "fastavg",
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        gate: bool = True,
        gate_act: str = "silu",
        value_act: str = "silu",
        depthwise: str = "multi_order",
        split: Sequence[int] = (1, 3, 4),
        feature_decomposition: bool = True,
        attn_force_fp32: bool = False,
        channel_aggregation: str = "ca",
        norm_within: str = "bn",
        norm_after: str = "bn",
    ) -> None:
        spatial = partial(
            SpatialAggregation,
            gate=gate,
            gate_act=gate_act,
            value_act=value_act,
            depthwise=depthwise,
            split=split,
            feature_decomposition=feature_decomposition,
            force_fp32=attn_force_fp32,
        )
        channel = partial(ChannelAggregation, aggregation=channel_aggregation, drop_rate=drop_rate)
        within = choose("norm", norm_within, NORMS)
        after = choose("norm", norm_after, NORMS)
        ratios = _per_stage(mlp_ratios, len(dims))
        last_block = max(sum(depths) - 1, 1)
        drop_paths = (drop_path_rate * index / last_block for index in range(sum(depths)))

        stages: list[Stage] = []
        for index, (dim, depth, ratio) in enumerate(zip(dims, depths, ratios, strict=True)):
            if index == 0:
                embed: nn.Module = StemEmbed(in_chans, dim, within)
            else:
                embed = ConvEmbed(dims[index - 1], dim, within)
            blocks = [
                MogaBlock(dim, spatial(dim), channel(dim, int(dim * ratio)), within, rate)
                for rate in islice(drop_paths, depth)
            ]
            stages.append((embed, nn.Sequential(*blocks), after(dim)))
        super().__init__(
            stages, dims, in_chans=in_chans, num_classes=num_classes, global_pool=global_pool
        )
        self.apply(init_conv)

    def fused(self) -> MogaNet:
        """The network for inference; the norm after a stage goes into the stage's last block."""
        for number in range(1, self.num_stages + 1):
            _, blocks, norm = self._parts(number)
            after = split_norm(norm)
            last = blocks[-1] if len(blocks) else None
            is_affine = after is not None and isinstance(after.rest, nn.Identity)
            if not is_affine or not isinstance(last, MogaBlock):
                continue
            fused = fuse_moga_block(last, after)
            if fused is not last:
                blocks[-1] = fused
                setattr(self, f"norm{number}", nn.Identity())
        return fuse_children(self)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters to keep from weight decay: none, as released."""
        return set()


def _per_stage(ratios: float | Sequence[float], stages: int) -> Sequence[float]:
    per_stage = (ratios,) * stages if isinstance(ratios, int | float) else tuple(ratios)
    if len(per_stage) != stages or min(per_stage) <= 0:
        raise UserError(f"mlp_ratios {ratios} is not one positive number or {stages} of them")
    return per_stage


register_family(
    __name__,
    MogaNet,
    {
        # MogaNet-XT, 2.96 M parameters; MogaNet-T, 5.20 M; MogaNet-S, 25.3 M; MogaNet-B, 43.7 M;
        # MogaNet-L, 82.5 M; MogaNet-XL, 181 M (Table A1).
        "moganet_xtiny": {"dims": (32, 64, 96, 192), "depths": (3, 3, 10, 2)},
        "moganet_tiny": {"dims": (32, 64, 128, 256), "depths": (3, 3, 12, 2)},
        "moganet_small": {"dims": (64, 128, 320, 512), "depths": (2, 3, 12, 2)},
        "moganet_base": {"dims": (64, 160, 320, 512), "depths": (4, 6, 22, 3)},
        "moganet_large": {"dims": (64, 160, 320, 640), "depths": (4, 6, 44, 4)},
        "moganet_xlarge": {"dims": (96, 192, 480, 960), "depths": (6, 6, 44, 4)},
    },
    crop_pct=0.9,
    pool_size=(7, 7),
    first_conv="patch_embed1.projection.0",
    classifier="head",
    origin_url="https://github.com/Westlake-AI/MogaNet",
    paper_ids="arXiv:2211.03295",
)

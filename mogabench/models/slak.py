"""SLaK: kernels beyond 51x51, as a sum of a tall and a wide one (Liu et al., ICLR 2023).

The paper trains with 40 % of the weights at zero, and prints 0.6 times the parameters and
operations of the network here, which is dense.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timm.models.convnext import ConvNeXtBlock

from mogabench.layers.convnext import RELEASED_NAMES, ConvNextLayout
from mogabench.layers.large_kernel import ParallelDepthwise
from mogabench.layers.registration import register_family
from mogabench.layers.released import renaming

if TYPE_CHECKING:
    from collections.abc import Sequence

KERNELS = (51, 49, 47, 13)
"""Length of the long side in each stage."""

SMALL_KERNEL = 5
WIDTH_FACTOR = 1.3
"""By how much SLaK is wider than ConvNeXt, to make up for the weights at zero."""


class SlakBlock(ConvNeXtBlock):
    """ConvNeXt's block with a sum of large kernels in place of its depth-wise convolution.

    Args:
        dim: Channels.
        kernel_size: Length of the long side.
        drop_path: Rate of stochastic depth.
    """

    def __init__(self, dim: int, kernel_size: int, drop_path: float = 0.0) -> None:
        super().__init__(dim, drop_path=drop_path)
        self.conv_dw = ParallelDepthwise(
            dim,
            {
                "LoRA1": (kernel_size, SMALL_KERNEL),
                "LoRA2": (SMALL_KERNEL, kernel_size),
                "small_conv": SMALL_KERNEL,
            },
        )


class SLaK(ConvNextLayout):
    """ConvNeXt, wider and with large kernels.

    Args:
        dim: Channels of ConvNeXt's first stage; each later one has twice as many.
        depths: Blocks of each stage.
        **kwargs: As ``ConvNextLayout`` has them.
    """

    def __init__(self, dim: int, depths: Sequence[int], **kwargs: Any) -> None:
        dims = [int(dim * 2**index * WIDTH_FACTOR) for index in range(len(depths))]
        super().__init__(
            dims,
            depths,
            lambda index, drop_path: SlakBlock(dims[index], KERNELS[index], drop_path),
            **kwargs,
        )


checkpoint_filter_fn = renaming(
    {
        **RELEASED_NAMES,
        r"\.large_kernel\.": ".conv_dw.",
        r"\.pwconv(\d)\.": r".mlp.fc\1.",
    }
)

register_family(
    __name__,
    SLaK,
    {
        # SLaK-T, 50.7 M parameters, of which 30.4 M are not zero as published; SLaK-S, 91.1 M and
        # 54.7 M; SLaK-B, 158.0 M and 94.8 M.
        "slak_tiny": {"dim": 96, "depths": (3, 3, 9, 3)},
        "slak_small": {"dim": 96, "depths": (3, 3, 27, 3)},
        "slak_base": {"dim": 128, "depths": (3, 3, 27, 3)},
    },
    checkpoint_filter_fn=checkpoint_filter_fn,
    pool_size=(7, 7),
    first_conv="patch_embed1.0",
    classifier="head",
    origin_url="https://github.com/VITA-Group/SLaK",
    paper_ids="arXiv:2207.03620",
)

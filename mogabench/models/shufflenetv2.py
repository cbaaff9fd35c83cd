"""ShuffleNetV2 of Tables 2 and A13 (Ma et al., ECCV 2018): torchvision's, with timm's interface."""

from __future__ import annotations

from functools import partial

from torch import nn
from torchvision.models import shufflenetv2

from mogabench.layers.backbone import Backbone
from mogabench.layers.registration import register_family

STAGE_PARTS = (("conv1",), ("maxpool",), ("stage2",), ("stage3",), ("stage4", "conv5"))
"""torchvision's names."""


class ShuffleNetV2(Backbone):
    """torchvision's ShuffleNetV2, whose weights it loads.

    Args:
        repeats: Units of each of the three stages.
        channels: Channels of the stem, the stages and the last convolution.
        in_chans: Channels of the images.
        num_classes: Outputs of the classifier; 0 for none.
        global_pool: timm's name of the pooling before the classifier; empty for none.
    """

    classifier = "fc"

    def __init__(
        self,
        repeats: list[int],
        channels: list[int],
        *,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = "fastavg",
    ) -> None:
        theirs = shufflenetv2.ShuffleNetV2(repeats, channels)
        theirs.conv1[0] = nn.Conv2d(in_chans, channels[0], 3, stride=2, padding=1, bias=False)
        super().__init__(
            [{name: getattr(theirs, name) for name in parts} for parts in STAGE_PARTS],
            [channels[0], *channels[:3], channels[4]],
            [2, 4, 8, 16, 32],
            in_chans=in_chans,
            num_classes=num_classes,
            global_pool=global_pool,
        )


_register = partial(
    register_family,
    __name__,
    ShuffleNetV2,
    features={"out_indices": (0, 1, 2, 3, 4)},
    interpolation="bilinear",
    pool_size=(7, 7),
    first_conv="conv1.0",
    classifier="fc",
    paper_ids="arXiv:1807.11164",
)
# ShuffleNetV2 1x, 2.28 M parameters; ShuffleNetV2 2x, 7.39 M.
_register({"shufflenetv2_x1_0": {"repeats": [4, 8, 4], "channels": [24, 116, 232, 464, 1024]}})
_register(
    {"shufflenetv2_x2_0": {"repeats": [4, 8, 4], "channels": [24, 244, 488, 976, 2048]}},
    crop_pct=224 / 232,
)

"""ShuffleNetV2 of Tables 2 and A13 (Ma et al., ECCV 2018): torchvision's, with timm's interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timm.layers import SelectAdaptivePool2d, create_classifier
from torch import nn
from torchvision.models import shufflenetv2

from mogabench.layers.registration import register_family

if TYPE_CHECKING:
    from torch import Tensor


class ShuffleNetV2(shufflenetv2.ShuffleNetV2):
    """torchvision's ShuffleNetV2, whose weights it loads.

    Args:
        repeats: Units of each of the three stages.
        channels: Channels of the stem, the stages and the last convolution.
        in_chans: Channels of the images.
        num_classes: Outputs of the classifier; 0 for none.
        global_pool: timm's name of the pooling before the classifier; empty for none.
    """

    global_pool: SelectAdaptivePool2d

    def __init__(
        self,
        repeats: list[int],
        channels: list[int],
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = "fastavg",
    ) -> None:
        super().__init__(repeats, channels)
        self.conv1[0] = nn.Conv2d(in_chans, channels[0], 3, stride=2, padding=1, bias=False)
        self.in_chans = in_chans
        self.num_features = self.head_hidden_size = channels[-1]
        self.feature_info = [
            {"num_chs": channels[0], "reduction": 2, "module": "conv1"},
            {"num_chs": channels[0], "reduction": 4, "module": "maxpool"},
            {"num_chs": channels[1], "reduction": 8, "module": "stage2"},
            {"num_chs": channels[2], "reduction": 16, "module": "stage3"},
            {"num_chs": channels[4], "reduction": 32, "module": "conv5"},
        ]
        self.reset_classifier(num_classes, global_pool)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` to logits ``(N, num_classes)``."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Maps images ``(N, C, H, W)`` to the last map ``(N, num_features, H/32, W/32)``."""
        x = self.maxpool(self.conv1(x))
        features: Tensor = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        return features

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pools the last feature map and, unless ``pre_logits``, classifies it."""
        pooled: Tensor = self.global_pool(x)
        return pooled if pre_logits else self.fc(pooled)

    def get_classifier(self) -> nn.Module:
        """The linear classifier, or an identity where there is none."""
        classifier: nn.Module = self.fc
        return classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replaces the classifier by a new one; pooling stays as it is if None."""
        pool = self.global_pool.pool_type if global_pool is None else global_pool
        self.num_classes = num_classes
        self.global_pool, head = create_classifier(self.num_features, num_classes, pool)
        self.fc = head.to(self.conv5[0].weight)


register_family(
    __name__,
    ShuffleNetV2,
    {
        # ShuffleNetV2 1x, 2.28 M parameters; ShuffleNetV2 2x, 7.39 M.
        "shufflenetv2_x1_0": {"repeats": [4, 8, 4], "channels": [24, 116, 232, 464, 1024]},
        "shufflenetv2_x2_0": {"repeats": [4, 8, 4], "channels": [24, 244, 488, 976, 2048]},
    },
    features={"out_indices": (0, 1, 2, 3, 4)},
    interpolation="bilinear",
    pool_size=(7, 7),
    first_conv="conv1.0",
    classifier="fc",
    paper_ids="arXiv:1807.11164",
)

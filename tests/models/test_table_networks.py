"""The networks of Tables 2 and 3 that are configurations of timm's and torchvision's."""

import pytest
import timm
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

import mogabench.models  # noqa: F401


def matmul_operations(model, size):
    """Multiply-accumulates of convolutions, linear layers and products, by torch's own counter."""
    with FlopCounterMode(display=False) as counter:
        model.eval().requires_grad_(False)(torch.empty(1, 3, size, size))
    return counter.get_total_flops() / 2


@pytest.mark.parametrize(
    ("name", "size", "millions", "giga", "strides"),
    [
        ("shufflenetv2_x2_0", 224, "7.394", "0.5833", [2, 4, 8, 16, 32]),
        ("convnext_xtiny", 224, "7.438", "1.1440", [4, 8, 16, 32]),
        ("swin_1g", 224, "7.300", "1.1615", [4, 8, 16, 32]),
        ("vit_c", 224, "4.568", "1.0759", [16, 16, 16]),
        ("botnet_t7", 256, "78.648", "19.3085", [2, 4, 8, 16]),
    ],
)
def test_complexity_and_interface(name, size, millions, giga, strides):
    with torch.device("meta"):
        model = timm.create_model(name)
        assert f"{sum(p.numel() for p in model.parameters()) / 1e6:.3f}" == millions
        assert f"{matmul_operations(model, size) / 1e9:.4f}" == giga
        assert model.pretrained_cfg["input_size"] == (3, size, size)
        modules = dict(model.named_modules())
        assert modules[model.pretrained_cfg["first_conv"]].in_channels == 3
        assert modules[model.pretrained_cfg["classifier"]].out_features == 1000
        model.reset_classifier(10)
        assert model(torch.empty(2, 3, size, size)).shape == (2, 10)
        pyramid = timm.create_model(name, features_only=True, in_chans=1)
        maps = pyramid(torch.empty(1, 1, size, size))
    assert pyramid.feature_info.reduction() == strides
    for feature_map, channels, stride in zip(
        maps, pyramid.feature_info.channels(), strides, strict=True
    ):
        assert sorted(feature_map.shape) == sorted((1, channels, size // stride, size // stride))


def test_shufflenet_loads_torchvision_weights():
    torch.manual_seed(0)
    theirs = torchvision.models.shufflenet_v2_x2_0().eval()
    ours = timm.create_model("shufflenetv2_x2_0").eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images))
        ours.reset_classifier(0)
        assert ours(images).shape == (2, 2048)

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from mogabench.checkpoints import load_weights
from mogabench.errors import UserError
from mogabench.openmmlab.backbone import TimmBackbone
from mogabench.openmmlab.pyramid import pyramid_of

NETWORKS = {
    "moganet_xtiny": (32, 64, 96, 192),
    "resnet18": (64, 128, 256, 512),
    "swin_tiny_patch4_window7_224": (96, 192, 384, 768),
    "convnext_atto": (40, 80, 160, 320),
    "poolformer_s12": (64, 128, 320, 512),
    "mvitv2_tiny": (96, 192, 384, 768),
    "twins_svt_small": (64, 128, 256, 512),
    "efficientnet_b0": (24, 40, 112, 320),
    "deit_tiny_patch16_224": (192, 192, 192, 192),
}


@timm.models.register_model
def net_without_configuration(pretrained: bool = False, **options: Any) -> nn.Module:
    network = timm.create_model("resnet10t", **options)
    for name in ("pretrained_cfg", "default_cfg"):
        vars(network).pop(name, None)
    return network


def test_a_network_that_timm_has_not_configured_takes_images_as_mmdet_does() -> None:
    found = pyramid_of("net_without_configuration", {})
    assert found.mean == pytest.approx((123.675, 116.28, 103.53))
    assert found.std == pytest.approx((58.395, 57.12, 57.375))
    assert pyramid_of("test_vit", {}).mean == (127.5, 127.5, 127.5)  # its own


@pytest.mark.parametrize("name", NETWORKS)
def test_four_levels_whatever_the_image_size(name: str) -> None:
    size = (64, 96)  # no multiple of Swin's windows, nor what the network is built for
    backbone = TimmBackbone(name, (96, 128)).eval()
    with torch.no_grad():
        levels = backbone(torch.rand(1, 3, *size))
    expected = [
        (1, channels, size[0] // stride, size[1] // stride)
        for channels, stride in zip(NETWORKS[name], (4, 8, 16, 32), strict=True)
    ]
    assert [tuple(level.shape) for level in levels] == expected


@pytest.mark.parametrize(
    "name", ["swin_tiny_patch4_window7_224", "convnext_atto", "poolformer_s12"]
)
def test_the_norm_that_features_lack_is_given_to_each_level(name: str) -> None:
    backbone = TimmBackbone(name, (64, 64)).eval()
    levels = backbone(torch.rand(2, 3, 64, 64))
    dims = (1, 2, 3) if name.startswith("poolformer") else (1,)
    for level in levels:
        assert level.mean(dims).abs().max() < 1e-4
        assert level.var(dims, unbiased=False).mean().item() == pytest.approx(1, abs=0.05)


def test_overlock_has_the_norms_of_its_own_detectors() -> None:
    with torch.device("meta"):
        norms = TimmBackbone("overlock_t").norms
    assert [norm.weight.shape for norm in norms] == [(64,), (128,), (256 + 128,), (512 + 128,)]
    assert {norm.eps for norm in norms} == {1e-6}


@pytest.mark.parametrize("name", ["moganet_xtiny", "resnet18", "pvt_v2_b0"])
def test_other_networks_keep_their_maps(name: str) -> None:
    backbone = TimmBackbone(name, (64, 64)).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for ours, timms in zip(backbone(image), backbone.network(image)[-4:], strict=True):
            assert torch.equal(ours, timms)


def test_the_last_level_holds_what_the_classifier_sees(tmp_path: Path) -> None:
    swin = timm.create_model("swin_tiny_patch4_window7_224", num_classes=10).eval()
    path = tmp_path / "swin.pth"
    torch.save(swin.state_dict(), path)
    backbone = TimmBackbone("swin_tiny_patch4_window7_224", (224, 224)).eval()
    load_weights(backbone.network, path)
    image = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        expected = swin.forward_features(image).permute(0, 3, 1, 2)
        torch.testing.assert_close(backbone(image)[-1], expected, atol=1e-4, rtol=1e-4)


def test_a_stage_is_frozen_with_the_stem() -> None:
    backbone = TimmBackbone("resnet18", (64, 64), frozen_stages=1, norm_eval=True).train()
    frozen = {name for name, p in backbone.named_parameters() if not p.requires_grad}
    reference = timm.create_model("resnet18")
    parts = ("conv1", "bn1", "layer1")
    assert frozen == {
        f"network.{name}" for name, _ in reference.named_parameters() if name.startswith(parts)
    }
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms and not any(norm.training for norm in norms)
    assert backbone.network["layer2"].training
    assert not backbone.network["layer1"].training


@pytest.mark.parametrize(
    ("name", "depth"), [("test_vit", 6), ("vit_little_patch16_reg4_gap_256", 14)]
)
def test_a_plain_transformer_keeps_its_last_block(name: str, depth: int) -> None:
    pyramid = pyramid_of(name, {})
    assert pyramid.plain and pyramid.indices[-1] == depth - 1
    assert pyramid_of("vit_tiny_patch16_224", {}).indices == (2, 5, 8, 11)


def test_a_network_without_a_pyramid_is_refused() -> None:
    with pytest.raises(UserError, match="no feature maps at strides 4, 8, 16 and 32"):
        TimmBackbone("mixer_s32_224", (64, 64))


def test_unknown_names_and_options_are_refused() -> None:
    with pytest.raises(UserError, match="did you mean resnet18"):
        TimmBackbone("resnet_18", (64, 64))
    with pytest.raises(UserError, match="resnet18 cannot be built with"):
        TimmBackbone("resnet18", (64, 64), petals=3)
    with pytest.raises(UserError, match="no stages that could be frozen"):
        TimmBackbone("deit_tiny_patch16_224", (64, 64), frozen_stages=1)
    with pytest.raises(UserError, match="4 stages that could be frozen, not 5"):
        TimmBackbone("resnet18", (64, 64), frozen_stages=5)

"""The families that timm lacks through timm's interface; what they compute is tested elsewhere."""

import pytest
import timm
import torch

import mogabench.models  # noqa: F401
from mogabench.measure.complexity import count
from mogabench.models.cmt import Cmt
from mogabench.models.cswin import CSWinTransformer
from mogabench.models.focal import FocalTransformer
from mogabench.models.litv2 import LITv2
from mogabench.models.pvt import PyramidVisionTransformer
from mogabench.models.uniformer import UniFormer
from mogabench.models.van import VisualAttentionNetwork

# Of the released networks with 1000 classes: parameters, and operations at 224² by torch's
# FlopCounterMode, in G; LITv2's with the deformable convolutions, which that leaves out.
RELEASED = {
    "pvt_tiny": (13_229_288, "1.9329"),
    "pvt_small": (24_485_864, "3.8157"),
    "pvt_medium": (44_208_104, "6.6592"),
    "pvt_large": (61_369_320, "9.8138"),
    "uniformer_small": (21_545_256, "3.6318"),
    "uniformer_base": (49_776_552, "8.2490"),
    "van_b0": (4_105_800, "0.8642"),
    "van_b1": (13_861_800, "2.4953"),
    "van_b2": (26_578_472, "4.9928"),
    "van_b3": (44_765_608, "8.9253"),
    "cmt_small": (26_256_160, "4.0317"),
    "focal_tiny": (28_880_380, "4.9532"),
    "focal_small": (51_141_940, "9.4804"),
    "focal_base": (89_815_400, "16.4358"),
    "litv2_small": (27_844_000, "3.7236"),
    "litv2_medium": (48_830_368, "7.4630"),
    "litv2_base": (86_520_704, "13.1720"),
    "cswin_tiny": (22_320_552, "4.3242"),
    "cswin_small": (34_643_304, "6.8007"),
    "cswin_base": (77_382_184, "14.9553"),
}

# Maps of an image of 250x333: patches that the image does not fill are left out (PVT), padded
# (Focal), or seen by a padded convolution (VAN), and LITv2 pads the first ones only.
ODD = {
    "pvt_tiny": ((62, 83), (31, 41), (15, 20), (7, 10)),
    "uniformer_small": ((62, 83), (31, 41), (15, 20), (7, 10)),
    "uniformer_small_h14": ((62, 83), (31, 41), (15, 20), (7, 10)),
    "uniformer_base_h32": ((62, 83), (31, 41), (15, 20), (7, 10)),
    "van_b0": ((63, 84), (32, 42), (16, 21), (8, 11)),
    "cmt_small": ((62, 83), (31, 41), (15, 20), (7, 10)),
    "focal_tiny": ((63, 84), (32, 42), (16, 21), (8, 11)),
    "litv2_small": ((63, 84), (31, 42), (15, 21), (7, 10)),
    "cswin_tiny": ((62, 83), (31, 42), (16, 21), (8, 11)),
}

SHALLOW = {
    "pvt": lambda **options: PyramidVisionTransformer((1, 1, 1, 1), **options),
    "uniformer": lambda **options: UniFormer((1, 1, 2, 1), window=2, **options),
    "van": lambda **options: VisualAttentionNetwork((16, 16, 32, 32), (1, 1, 1, 1), **options),
    "cmt": lambda **options: Cmt((16, 32, 64, 64), (1, 1, 1, 1), 8, **options),
    "focal": lambda **options: FocalTransformer(32, (1, 1, 1, 1), **options),
    "litv2": lambda **options: LITv2(64, (1, 1, 1, 1), **options),
    "cswin": lambda **options: CSWinTransformer(16, (1, 1, 1, 1), (2, 2, 4, 4), **options),
}


@pytest.mark.parametrize("name", RELEASED)
def test_complexity(name):
    parameters, giga = RELEASED[name]
    with torch.device("meta"):
        found = count(timm.create_model(name).eval(), torch.empty(1, 3, 224, 224))
    assert found.parameters == parameters
    assert f"{found.operations['matmul'] / 1e9:.4f}" == giga
    assert not found.unknown


def test_van_by_the_papers_own_count():
    with torch.device("meta"):
        found = count(timm.create_model("van_b0").eval(), torch.empty(1, 3, 224, 224))
    assert f"{found.operations['paper'] / 1e9:.2f}" == "0.88"  # Table 2


@pytest.mark.parametrize(
    ("larger", "smaller", "size", "convention", "difference"),
    [
        ("pvt_small", "pvt_tiny", (800, 1280), "paper", 245 - 208),  # Table A9
        ("pvt_medium", "pvt_small", (800, 1280), "paper", 302 - 245),
        ("cmt_small", "pvt_small", (800, 1280), "paper", 249 - 245),
        ("uniformer_base_h14", "uniformer_small_h14", (800, 1280), "matmul", 399 - 269),
        ("uniformer_base_h32", "uniformer_small_h32", (512, 2048), "matmul", 1106 - 955),  # A11
        # LITv2's repository, with RetinaNet and windows of 4.
        ("litv2_medium_ws4", "litv2_small_ws4", (800, 1280), "matmul", 312 - 230),
    ],
)
def test_printed_detectors_and_segmentors_differ_by_their_backbones(
    larger, smaller, size, convention, difference
):
    with torch.device("meta"):
        found = [
            count(timm.create_model(name, features_only=True).eval(), torch.empty(1, 3, *size))
            for name in (larger, smaller)
        ]
    giga = [x.operations[convention] / 1e9 for x in found]
    assert giga[0] - giga[1] == pytest.approx(difference, abs=1)  # two roundings


@pytest.mark.parametrize("name", ODD)
def test_pyramid(name):
    with torch.device("meta"):
        pyramid = timm.create_model(name, features_only=True, in_chans=1).eval()
        odd = pyramid(torch.empty(1, 1, 250, 333))
        even = pyramid(torch.empty(1, 1, 512, 2048))
    channels = pyramid.feature_info.channels()
    assert pyramid.feature_info.reduction() == [4, 8, 16, 32]
    for x, y, dim, size, stride in zip(odd, even, channels, ODD[name], (4, 8, 16, 32), strict=True):
        assert x.shape == (1, dim, *size)
        assert y.shape == (1, dim, 512 // stride, 2048 // stride)


@pytest.mark.parametrize("name", [name for name in ODD if "_h" not in name])
def test_classifier_can_be_replaced(name):
    with torch.device("meta"):
        model = timm.create_model(name).eval()
        cfg = model.pretrained_cfg
        assert model.get_submodule(cfg["first_conv"]).in_channels == 3
        assert model.get_submodule(cfg["classifier"]).out_features == 1000
        model.reset_classifier(10)
        assert model(torch.empty(2, 3, 224, 224)).shape == (2, 10)
        model.reset_classifier(0)
        assert model(torch.empty(2, 3, 224, 224)).shape == (2, model.head_hidden_size)


@pytest.mark.parametrize("family", SHALLOW)
@pytest.mark.parametrize("dense", [False, True])
def test_a_training_step_changes_every_parameter(family, dense):
    torch.manual_seed(0)
    model = SHALLOW[family](num_classes=5, drop_path_rate=0.1).train()
    images = torch.randn(4, 3, 64, 96)
    if dense:
        model.prune_intermediate_layers([0, 1, 2, 3], prune_norm=True)
        outputs = model.forward_intermediates(images, intermediates_only=True)
    else:
        model.set_grad_checkpointing()
        outputs = [model(images)]
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    sum((x * torch.randn_like(x)).sum() for x in outputs).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    same = [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
    # What is added to every key changes no softmax, so that a key's bias does not learn.
    assert [name for name in same if not name.endswith(".k.bias")] == []


@pytest.mark.parametrize("family", SHALLOW)
def test_autocast_keeps_the_outcome(family):
    torch.manual_seed(0)
    model = SHALLOW[family](num_classes=5).eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        expected = model(images)
        with torch.autocast("cpu", torch.bfloat16):
            found = model(images)
    assert found.dtype == torch.bfloat16
    assert (found - expected).norm() < 0.05 * expected.norm()


def test_windows_matter_only_where_they_do_not_hold_all():
    torch.manual_seed(0)
    everywhere = UniFormer((1, 1, 4, 1), num_classes=5).eval()
    windowed = UniFormer((1, 1, 4, 1), num_classes=5, window=4).eval()
    windowed.load_state_dict(everywhere.state_dict())
    with torch.inference_mode():
        one_window, four_windows = torch.randn(1, 3, 64, 64), torch.randn(1, 3, 128, 128)
        torch.testing.assert_close(windowed(one_window), everywhere(one_window))
        assert not torch.allclose(windowed(four_windows), everywhere(four_windows), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("family", SHALLOW)
def test_compiles_as_one_graph(family):
    torch.manual_seed(0)
    model = SHALLOW[family](num_classes=5).eval()
    images = torch.randn(2, 3, 64, 96)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(images), model(images))

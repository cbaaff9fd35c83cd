"""The families that timm lacks through timm's interface; what they compute is tested elsewhere."""

from dataclasses import replace

import pytest
import timm
import torch
from timm.data import create_transform, resolve_data_config

import mogabench.models  # noqa: F401
from mogabench.measure.complexity import count
from mogabench.models import fuse, mvit
from mogabench.models.cmt import Cmt
from mogabench.models.conformer import Conformer
from mogabench.models.cswin import CSWinTransformer
from mogabench.models.fan import FanHybrid
from mogabench.models.focal import FocalTransformer
from mogabench.models.hornet import HorNet
from mogabench.models.litv2 import LITv2
from mogabench.models.mobileformer import MobileFormer, Place
from mogabench.models.overlock import OverLoCK
from mogabench.models.parcnet import ParcNet
from mogabench.models.pvt import PyramidVisionTransformer
from mogabench.models.replknet import RepLKNet
from mogabench.models.slak import SLaK
from mogabench.models.sret import SReT
from mogabench.models.t2t_vit import T2TViT
from mogabench.models.uniformer import UniFormer
from mogabench.models.unireplknet import UniRepLKNet
from mogabench.models.van import VisualAttentionNetwork

# Of the released networks with 1000 classes: parameters, and operations by torch's
# FlopCounterMode, in G; LITv2's with the deformable convolutions, and OverLoCK's with the products
# of its dynamic kernels, which that leaves out. At 224², but for ParC-Net-S (256²), HorNet-L,
# RepLKNet-31L and UniRepLKNet-B to XL (384²). FAN's without the product that the released network
# computes twice and does not use; OverLoCK's without the classifier that training alone uses.
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
    "hornet_tiny": (22_409_512, "3.9684"),
    "hornet_small": (49_528_264, "8.8140"),
    "hornet_base": (87_256_680, "15.5671"),
    "hornet_large_gf": (201_806_824, "101.5529"),
    "slak_tiny": (50_703_838, "8.7048"),
    "slak_small": (91_131_820, "16.6040"),
    "slak_base": (157_950_792, "28.5091"),
    "replknet_31b": (79_864_168, "15.4313"),
    "replknet_31l": (172_671_016, "96.3323"),
    "fan_base_hybrid": (50_475_048, "11.7709"),
    "fan_large_hybrid": (76_855_140, "17.6857"),
    "t2t_vit_7": (4_310_222, "1.1469"),
    "sret_tiny": (4_755_979, "1.1124"),
    "parcnet_small": (5_037_088, "1.6573"),
    "mobileformer_294m": (11_422_648, "0.2867"),
    "conformer_small_patch16": (37_673_424, "10.5994"),
    "conformer_small_patch32": (38_853_072, "7.0458"),
    "unireplknet_a": (4_649_060, "0.6747"),
    "unireplknet_f": (6_489_328, "0.9469"),
    "unireplknet_p": (11_080_520, "1.6288"),
    "unireplknet_n": (18_818_880, "2.8489"),
    "unireplknet_t": (31_693_420, "5.0035"),
    "unireplknet_s": (56_456_704, "9.2194"),
    "unireplknet_b": (99_089_416, "47.6679"),
    "unireplknet_l": (220_076_056, "106.1591"),
    "unireplknet_xl": (388_690_984, "187.7551"),
    "overlock_xt": (16_969_600, "2.8626"),
    "overlock_t": (34_476_448, "5.9926"),
    "overlock_s": (57_795_748, "10.4371"),
    "overlock_b": (97_434_816, "17.9626"),
}

MERGED = {
    "unireplknet_a": (4_437_300, "0.6398"),
    "unireplknet_f": (6_235_216, "0.9051"),
    "unireplknet_p": (10_741_704, "1.5731"),
    "unireplknet_n": (18_318_560, "2.7665"),
    "unireplknet_t": (31_037_980, "4.8990"),
    "unireplknet_s": (55_645_984, "9.0940"),
    "unireplknet_b": (98_008_456, "47.1764"),
    "unireplknet_l": (218_454_616, "105.4219"),
    "unireplknet_xl": (386_529_064, "186.7722"),
    "overlock_xt": (16_453_712, "2.7012"),
    "overlock_t": (33_467_040, "5.6456"),
    "overlock_s": (56_156_452, "9.8940"),
    "overlock_b": (94_942_528, "17.0964"),
}
"""The same of the released form for inference (``deploy=True``), in which kernels are merged."""

# Maps of an image of 250x333: patches that the image does not fill are left out (PVT), padded
# (Focal), or seen by a padded convolution (VAN), and LITv2 pads the first ones only. Conformer
# pads images to whole patches, of 32.
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
    "hornet_tiny": ((62, 83), (31, 41), (15, 20), (7, 10)),
    "hornet_large_gf": ((62, 83), (31, 41), (15, 20), (7, 10)),
    "slak_tiny": ((62, 83), (31, 41), (15, 20), (7, 10)),
    "replknet_31b": ((63, 84), (32, 42), (16, 21), (8, 11)),
    "parcnet_small": ((63, 84), (32, 42), (16, 21), (8, 11)),
    "mobileformer_294m": ((63, 84), (32, 42), (16, 21), (8, 11)),
    "conformer_small_patch32": ((64, 88), (32, 44), (16, 22), (8, 11)),
    "unireplknet_t": ((63, 84), (32, 42), (16, 21), (8, 11)),
    "overlock_xt": ((63, 84), (32, 42), (16, 21), (8, 11)),
    "mvitv1_tiny": ((63, 84), (32, 42), (16, 21), (8, 11)),
}

NARROW_MVIT = replace(mvit.TINY, depths=(1, 1, 1, 1), embed_dim=(16, 32, 64, 128))

SHALLOW = {
    "pvt": lambda **options: PyramidVisionTransformer((1, 1, 1, 1), **options),
    "uniformer": lambda **options: UniFormer((1, 1, 2, 1), window=2, **options),
    "van": lambda **options: VisualAttentionNetwork((16, 16, 32, 32), (1, 1, 1, 1), **options),
    "cmt": lambda **options: Cmt((16, 32, 64, 64), (1, 1, 1, 1), 8, **options),
    "focal": lambda **options: FocalTransformer(32, (1, 1, 1, 1), **options),
    "litv2": lambda **options: LITv2(64, (1, 1, 1, 1), **options),
    "cswin": lambda **options: CSWinTransformer(16, (1, 1, 1, 1), (2, 2, 4, 4), **options),
    "hornet": lambda **options: HorNet(16, (4, 3), depths=(1, 1, 1, 1), **options),
    "slak": lambda **options: SLaK(16, (1, 1, 1, 1), **options),
    "replknet": lambda **options: RepLKNet(16, depths=(1, 1, 1, 1), **options),
    "fan": lambda **options: FanHybrid(32, 4, 4, (1, 1), **options),
    "t2t": lambda **options: T2TViT(img_size=(64, 96), **options),
    "sret": lambda **options: SReT((1, 1, 1), 2, img_size=64, **options),
    "parcnet": ParcNet,
    "mobileformer": lambda **options: MobileFormer(
        8, 2, [[Place(True, 2, 8), Place(False, 2, 8)]] * 4, 32, **options
    ),
    "conformer": lambda **options: Conformer(32, **options),
    "unireplknet": lambda **options: UniRepLKNet(16, (1, 1, 2, 1), 1, **options),
    "overlock": lambda **options: OverLoCK(
        (16, 16, 32, 32), (1, 1, 1, 1), (2, 1), (4, 2), **options
    ),
    "mvit": lambda **options: mvit.MultiScaleVitV1(NARROW_MVIT, **options),
}


@pytest.mark.parametrize("name", RELEASED)
def test_complexity(name):
    parameters, giga = RELEASED[name]
    with torch.device("meta"):
        model = timm.create_model(name).eval()
        found = count(model, torch.empty(1, *model.pretrained_cfg["input_size"]))
    assert found.parameters == parameters
    assert f"{found.operations['matmul'] / 1e9:.4f}" == giga
    assert not found.unknown


@pytest.mark.slow
@pytest.mark.parametrize("name", MERGED)
def test_fused_is_as_large_as_the_released_form_for_inference(name):
    parameters, giga = MERGED[name]
    with torch.device("meta"):
        model = timm.create_model(name).eval()
        found = count(fuse(model), torch.empty(1, *model.pretrained_cfg["input_size"]))
    assert found.parameters == parameters
    assert f"{found.operations['matmul'] / 1e9:.4f}" == giga


@pytest.mark.parametrize(
    ("name", "giga"),
    [("van_b0", 0.88), ("fan_base_hybrid", 11.3), ("fan_large_hybrid", 16.9)],  # Tables 2, 3
)
def test_printed_by_the_papers_own_count(name, giga):
    with torch.device("meta"):
        found = count(timm.create_model(name).eval(), torch.empty(1, 3, 224, 224))
    assert found.operations["paper"] / 1e9 == pytest.approx(giga, rel=0.005)


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


@pytest.mark.slow
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


LEVELS = {"sret": 3, "t2t": 7}
"""The last so many feature maps that are asked for where these are not four."""


@pytest.mark.parametrize("family", SHALLOW)
@pytest.mark.parametrize("dense", [False, True])
def test_training_reaches_every_parameter(family, dense):
    torch.manual_seed(0)
    model = SHALLOW[family](num_classes=5, drop_path_rate=0.1).train()
    images = torch.randn(4, 3, 64, 96)
    if dense:
        model.prune_intermediate_layers(LEVELS.get(family, 4), prune_norm=True)
        outputs = model.forward_intermediates(images, intermediates_only=True)
    else:
        model.set_grad_checkpointing()
        outputs = [model(images)]
    sum((x * torch.randn_like(x)).sum() for x in outputs).backward()
    learning = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    unreached = [name for name, p in learning if p.grad is None or not p.grad.any()]
    # What is added to every key changes no softmax, so that a key's bias does not learn.
    assert [name for name in unreached if not name.endswith(".k.bias")] == []


@pytest.mark.parametrize("autocast", [True, False])
@pytest.mark.parametrize("family", SHALLOW)
def test_bfloat16_keeps_the_outcome(family, autocast):
    torch.manual_seed(0)
    model = SHALLOW[family](num_classes=5).eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        torch.manual_seed(1)  # SReT draws groups of tokens by chance
        expected = model(images)
        torch.manual_seed(1)
        if autocast:
            with torch.autocast("cpu", torch.bfloat16):
                found = model(images)
        else:
            found = model.bfloat16()(images.bfloat16())
    assert found.dtype == torch.bfloat16
    assert (found - expected).norm() < 0.05 * expected.norm()


@pytest.mark.parametrize(
    ("name", "resized"),
    [
        *((name, (384, 384)) for name in ("hornet_large_gf", "replknet_31l", "unireplknet_b")),
        *(("shufflenetv2_x1_0", 256), ("shufflenetv2_x2_0", 232)),  # torchvision's
        ("parcnet_small", 256 + 32),
    ],
)
def test_images_are_resized_as_their_authors_do(name, resized):
    config = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    assert create_transform(**config).transforms[0].size == resized


def test_the_classifier_of_fan_large_starts_small():
    options = {"dim": 32, "depth": 1, "heads": 4, "stem_depths": (1, 1)}
    head = timm.create_model("fan_large_hybrid", **options).head
    assert head.weight.std().item() == pytest.approx(0.02 * 0.001, rel=0.05)


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
    torch.compiler.reset()  # dynamo counts each family's compilation of what they share
    torch.manual_seed(0)
    model = SHALLOW[family](num_classes=5).eval()
    images = torch.randn(2, 3, 64, 96)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.inference_mode():
        torch.manual_seed(1)  # SReT draws groups of tokens by chance
        found = compiled(images)
        torch.manual_seed(1)
        torch.testing.assert_close(found, model(images))

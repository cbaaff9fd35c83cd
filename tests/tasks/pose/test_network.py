from decimal import ROUND_HALF_UP, Decimal

import pytest
import torch
from torch.nn import functional

from mogabench.errors import UserError
from mogabench.measure.complexity import count_subject
from mogabench.subject import Subject
from mogabench.tasks import get_task
from mogabench.tasks.pose.network import KeypointHead, build_network

NORM = ("running_mean", "running_var", "weight", "bias")


def subject(backbone, size=(256, 192), **options):
    return Subject(
        task="pose", method="simple_baseline", backbone=backbone, input_size=size, options=options
    )


@pytest.mark.parametrize(
    ("backbone", "millions", "small", "large"),
    [
        ("moganet_xtiny", 5.653, "1.8", "4.2"),
        ("moganet_tiny", 8.092, "2.2", "4.9"),
        ("moganet_small", 29.023, "6.0", "13.5"),
        ("moganet_base", 47.408, "10.9", "24.4"),
    ],
)
def test_moganet_costs_what_the_paper_prints(backbone, millions, small, large):
    for size, printed in (((256, 192), small), ((384, 288), large)):
        counted = count_subject(subject(backbone, size))
        assert counted.unknown == {}
        assert round(counted.parameters / 1e6, 3) == millions
        # mmcv's counter rounds to two places, the table that to one.
        giga = Decimal(counted.operations["paper"]).scaleb(-9).quantize(Decimal("0.01"))
        assert str(giga.quantize(Decimal("0.1"), ROUND_HALF_UP)) == printed


@pytest.mark.parametrize(
    ("backbone", "millions", "binary_giga"),
    # The figures of Sun et al., CVPR 2019; their counter takes 2^30 for a G.
    [("hrnet_w32", 28.5, 7.10), ("hrnet_w48", 63.6, 14.6)],
)
def test_hrnet_has_its_published_head(backbone, millions, binary_giga):
    counted = count_subject(subject(backbone))
    assert round(counted.parameters / 1e6, 1) == millions
    assert counted.operations["matmul"] / 2**30 == pytest.approx(binary_giga, abs=0.05)


@pytest.mark.parametrize(
    ("backbone", "parameters", "size", "giga"),
    # What the released networks measure, HRFormer's with a 1x1 convolution for the key points; the
    # operations are those of Table A13.
    [
        ("rsn_18", 9_159_072, (256, 192), 2.3),
        ("rsn_18", 9_159_072, (384, 288), 5.1),
        ("hrformer_base", 43_210_434 + 17 * 79, (384, 288), 30.7),
    ],
)
def test_networks_made_for_poses_are_whole(backbone, parameters, size, giga):
    counted = count_subject(subject(backbone, size))
    assert counted.parameters == counted.trainable_parameters == parameters  # tables show those
    assert counted.operations["fvcore"] / 1e9 == pytest.approx(giga, abs=0.05, rel=0.01)


@pytest.mark.parametrize(
    ("backbone", "millions", "giga", "options"),
    [
        # mmpose 0.29's own tables.
        ("resnet50", 34.0, 5.46, {}),
        ("mobilenetv2_100", 9.57, 1.59, {}),
        ("shufflenetv2_x1_0", 7.55, 1.37, {}),
        ("swin_tiny_patch4_window7_224", 32.8, 6.1, {"always_partition": True}),
    ],
)
def test_networks_of_mmpose_have_its_counts(backbone, millions, giga, options):
    counted = count_subject(subject(backbone, **options))
    assert counted.parameters / 1e6 == pytest.approx(millions, rel=0.002)
    assert counted.operations["paper"] / 1e9 == pytest.approx(giga, rel=0.005)


@pytest.mark.parametrize(
    "backbone",
    [
        "test_resnet",
        "test_vit",
        "swin_tiny_patch4_window7_224",
        "hrnet_w18_small",
        "hrformer_base",
        "rsn_18",
        "visformer_small",  # has no map at stride 4
    ],
)
def test_heat_maps_are_a_quarter_of_the_picture(backbone):
    with torch.device("meta"):
        network = get_task("pose").build(subject(backbone, (128, 96)))
        assert network(torch.zeros(2, 3, 128, 96)).shape == (2, 17, 32, 24)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (subject("moganet_smal"), "unknown backbone 'moganet_smal'.*moganet_small"),
        (subject("test_resnet", (256, 190)), "a pose network's .* multiples of 32, not 256x190"),
        (subject("test_resnet", colour="red"), "test_resnet cannot be built with .*colour"),
    ],
)
def test_networks_that_cannot_be_built(bad, message):
    with pytest.raises(UserError, match=f"^{message}[^\n]*$"):
        build_network(bad)


def test_the_head_is_three_deconvolutions_with_norms_and_a_convolution(randomise):
    head = randomise(KeypointHead(8, 32))
    values = head.state_dict()
    maps = features = torch.randn(2, 8, 3, 2)
    for layer in (0, 3, 6):
        deconvolution = values[f"deconv_layers.{layer}.weight"]
        maps = functional.conv_transpose2d(maps, deconvolution, stride=2, padding=1)
        norm = (values[f"deconv_layers.{layer + 1}.{name}"] for name in NORM)
        maps = functional.batch_norm(maps, *norm).relu()
    expected = functional.conv2d(maps, values["final_layer.weight"], values["final_layer.bias"])
    assert expected.shape == (2, 17, 24, 16)
    torch.testing.assert_close(head(features), expected)

import math
from math import floor

import pytest
import torch

from mogabench.errors import UserError
from mogabench.measure.complexity import count_subject
from mogabench.subject import Subject
from mogabench.tasks.detection.counting import FixedRegions
from mogabench.tasks.detection.network import build_detector


def _subject(
    method: str, backbone: str, size: tuple[int, int] = (800, 1280), **options: object
) -> Subject:
    return Subject(
        task="detection", method=method, backbone=backbone, input_size=size, options=options
    )


@pytest.mark.parametrize(
    ("method", "options", "millions", "trainable", "giga"),
    [
        ("retinanet", {}, 37.969, 37.743, 238.99),
        ("mask_rcnn", {}, 44.396, 44.171, 259.79),
        ("cascade_mask_rcnn", {"head": "plain"}, 77.325, 77.099, 393.40),
        ("cascade_mask_rcnn", {}, 82.232, 82.006, 738.34),
    ],
)
def test_resnet50_counts_as_mmdets_own_detectors_do_in_fvcore(
    method: str, options: dict[str, object], millions: float, trainable: float, giga: float
) -> None:
    counted = count_subject(_subject(method, "resnet50", frozen_stages=1, **options))
    assert round(counted.parameters / 1e6, 3) == millions
    assert round(counted.trainable_parameters / 1e6, 3) == trainable
    assert round(counted.operations["fvcore"] / 1e9, 2) == giga
    assert not counted.unknown


MOGANET = {  # M and G as the official repository lists them, from its own tool
    "retinanet": {
        "xtiny": (12.1, 167.2),
        "tiny": (14.4, 173.4),
        "small": (35.1, 253.0),
        "base": (53.5, 354.5),
        "large": (92.4, 476.8),
    },
    "mask_rcnn": {
        "xtiny": (22.8, 185.4),
        "tiny": (25.0, 191.7),
        "small": (45.0, 271.6),
        "base": (63.4, 373.1),
        "large": (102.1, 495.3),
    },
    "cascade_mask_rcnn": {
        "small": (82.8, 750.2),
        "base": (101.2, 851.6),
        "large": (139.9, 973.8),
    },
}


@pytest.mark.parametrize(
    ("method", "size"), [(method, size) for method, sizes in MOGANET.items() for size in sizes]
)
def test_moganet_counts_as_the_official_tool_does(method: str, size: str) -> None:
    counted = count_subject(_subject(method, f"moganet_{size}"))
    millions, giga = MOGANET[method][size]
    assert counted.parameters / 1e6 == pytest.approx(millions, abs=0.1)
    exact = counted.operations["paper"] / 1e9
    assert giga in (round(exact, 1), floor(10 * exact) / 10)  # some of its digits are cut off


@pytest.mark.parametrize(
    ("method", "backbone", "convention", "printed"),
    [
        ("mask_rcnn", "swin_tiny_patch4_window7_224", "paper", ("48", "264")),
        ("mask_rcnn", "convnext_tiny", "fvcore", ("48", "262")),
        ("mask_rcnn", "pvt_v2_b2", "fvcore", ("45", "309")),
        ("cascade_mask_rcnn", "swin_large_patch4_window7_224", "paper", ("253", "1382")),
    ],
)
def test_other_networks_count_as_their_authors_print(
    method: str, backbone: str, convention: str, printed: tuple[str, str]
) -> None:
    counted = count_subject(_subject(method, backbone))
    found = (counted.parameters / 1e6, counted.operations[convention] / 1e9)
    assert tuple(f"{figure:.0f}" for figure in found) == printed


@pytest.mark.slow
def test_the_heads_get_a_thousand_regions_of_each_image() -> None:
    detector = FixedRegions(build_detector(_subject("mask_rcnn", "resnet18", (64, 96)))).eval()
    with torch.no_grad():
        outputs = detector(torch.rand(2, 3, 64, 96))
    shapes = [tuple(output.shape) for output in outputs[-3:]]
    assert shapes == [(2000, 81), (2000, 4 * 80), (200, 80, 28, 28)]


def test_the_focal_loss_starts_from_a_prior_of_one_percent() -> None:
    detector = build_detector(_subject("retinanet", "resnet18", num_classes=3))
    bias = detector.bbox_head.retina_cls.bias
    assert len(bias) == 9 * 3
    assert torch.allclose(bias, torch.tensor(-math.log(99)))


def test_the_classes_reach_every_head() -> None:
    detector = build_detector(_subject("cascade_mask_rcnn", "resnet18", num_classes=3))
    assert [head.fc_cls.out_features for head in detector.roi_head.bbox_head] == [4, 4, 4]
    assert [head.conv_logits.out_channels for head in detector.roi_head.mask_head] == [3, 3, 3]


def test_images_are_normalised_as_the_backbone_was_trained() -> None:
    moganet = build_detector(_subject("retinanet", "moganet_xtiny")).data_preprocessor
    assert moganet.mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])
    assert moganet.std.flatten().tolist() == pytest.approx([58.395, 57.12, 57.375])
    bit = build_detector(_subject("retinanet", "resnetv2_50")).data_preprocessor
    assert bit.mean.flatten().tolist() == [127.5] * 3


def test_bad_options_are_refused() -> None:
    with pytest.raises(UserError, match="unknown head '4conv'; did you mean 4conv1fc"):
        build_detector(_subject("cascade_mask_rcnn", "resnet18", head="4conv"))
    with pytest.raises(UserError, match="num_classes should be a positive whole number, not 'x'"):
        build_detector(_subject("retinanet", "resnet18", num_classes="x"))
    with pytest.raises(UserError, match="resnet18 cannot be built with"):
        build_detector(_subject("mask_rcnn", "resnet18", head="plain"))


@pytest.mark.parametrize(("size", "longest"), [((800, 1280), 1344), ((100, 100), 128)])
def test_a_backbone_built_for_one_size_takes_the_largest_padded_image(
    size: tuple[int, int], longest: int
) -> None:
    network = build_detector(
        Subject(task="detection", method="retinanet", backbone="mvitv2_tiny", input_size=size)
    )
    tables = [value for name, value in network.named_parameters() if name.endswith("rel_pos_w")]
    assert len(tables[0]) == 2 * longest // 4 - 1  # relative positions on the map at stride 4

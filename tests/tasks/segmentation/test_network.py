"""The segmentors against the figures of other tools."""

from math import floor

import pytest
import torch

from mogabench.measure.complexity import count_subject
from mogabench.subject import Subject


def subject(method, backbone, size=(512, 2048), **options):
    return Subject(
        task="segmentation", method=method, backbone=backbone, input_size=size, options=options
    )


@pytest.mark.parametrize(
    ("method", "millions", "fvcore"),
    [("semantic_fpn", 28.515, 182.95), ("upernet", 66.516, 952.62)],
)
def test_resnet50_counts_as_mmsegs_own_segmentors_do_in_fvcore(method, millions, fvcore):
    counted = count_subject(subject(method, "resnet50c"))
    assert round(counted.parameters / 1e6, 3) == millions
    assert round(counted.operations["fvcore"] / 1e9, 2) == fvcore
    assert not counted.unknown


MOGANET = {  # M and G as the official repository lists them, from its own tool; XL as printed
    "semantic_fpn": {
        "xtiny": (6.9, 101.4),
        "tiny": (9.1, 107.8),
        "small": (29.1, 189.7),
        "base": (47.5, 293.6),
        "large": (86.2, 418.7),
    },
    "upernet": {
        "xtiny": (30.4, 855.7),
        "tiny": (33.1, 862.4),
        "small": (55.3, 946.4),
        "base": (73.7, 1050.4),
        "large": (113.2, 1176.1),
        "xlarge": (214, 2451),
    },
}


@pytest.mark.parametrize(
    ("method", "size"), [(method, size) for method, sizes in MOGANET.items() for size in sizes]
)
def test_moganet_counts_as_the_official_tool_does(method, size):
    pixels = (640, 2560) if size == "xlarge" else (512, 2048)
    counted = count_subject(subject(method, f"moganet_{size}", pixels))
    millions, giga = MOGANET[method][size]
    assert counted.parameters / 1e6 == pytest.approx(millions, abs=0.06)
    exact = counted.operations["paper"] / 1e9
    # Some of its digits are cut off.
    assert giga in (round(exact, 1), floor(10 * exact) / 10, floor(exact))


def test_the_auxiliary_head_has_parameters_but_no_operations():
    counted = count_subject(subject("upernet", "resnet50c"))
    auxiliary = next(part for part in counted.tree.children if part.name == "auxiliary_head")
    # A 3x3 convolution of 1024 to 256 channels, its batch norm, and 150 classes with bias.
    assert auxiliary.parameters == 9 * 1024 * 256 + 2 * 256 + 256 * 150 + 150
    assert set(auxiliary.operations.values()) == {0}


@pytest.mark.parametrize("method", ["semantic_fpn", "upernet"])
def test_any_number_of_classes_at_any_size(method):
    from mogabench.tasks.segmentation.network import build_segmentor

    network = build_segmentor(subject(method, "resnet18", num_classes=7)).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, 72, 100)).shape == (1, 7, 18, 25)


def test_a_training_builds_the_network_that_is_evaluated():
    from mogabench.tasks.segmentation.network import build_segmentor

    built_for = subject("semantic_fpn", "swinv2_tiny_window16_256")
    shifts = []
    for crop in (None, (512, 512)):
        with torch.device("meta"):
            network = build_segmentor(built_for, crop=crop)
        assert network.data_preprocessor.size == crop
        shifts.append([m.shift_size for m in network.modules() if hasattr(m, "shift_size")])
    assert shifts[0] == shifts[1]
    assert shifts[0][-2:] == [(0, 0), (8, 8)]

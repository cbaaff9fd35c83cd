"""Whole networks: against fvcore on the CPU, against the CPU, and against the paper."""

from __future__ import annotations

import pytest
import timm
import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from torch import nn
from torch.nn import functional
from torchvision.ops import DeformConv2d

import mogabench.models  # noqa: F401  (registers the names)
from mogabench.errors import UserError
from mogabench.measure.complexity import count, count_subject
from mogabench.paper import CONVENTIONS
from mogabench.subject import Subject

MODELS = [
    "resnet18",
    "convnext_atto",
    "efficientnet_b0",
    "deit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "coat_lite_tiny",
    "moganet_xtiny",
]


def build(name: str, device: str) -> nn.Module:
    with torch.device(device):
        return timm.create_model(name).eval()


@pytest.fixture
def unfused_attention():
    """fvcore does not see fused attention; timm reads this switch when it builds."""
    before = timm.layers.use_fused_attn()
    timm.layers.set_fused_attn(False)
    yield
    timm.layers.set_fused_attn(before)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_fvcore_counts_the_same(name, unfused_attention):
    """fvcore's operations within 0.1 % are asked for; they are the same integers."""
    model, image = build(name, "cpu"), torch.zeros(1, 3, 224, 224)
    counted = count(build(name, "meta"), image.to("meta"))
    with torch.no_grad():
        assert counted.operations["fvcore"] == FlopCountAnalysis(model, image).total()
        assert counted.activations == ActivationCountAnalysis(model, image).total()


@pytest.mark.parametrize("name", MODELS)
def test_fused_attention_changes_no_operations(name, unfused_attention):
    image = torch.empty(1, 3, 224, 224, device="meta")
    unfused = count(build(name, "meta"), image)
    timm.layers.set_fused_attn(True)
    fused = count(build(name, "meta"), image)
    assert fused.operations == unfused.operations
    assert fused.activations == unfused.activations


@pytest.mark.parametrize("name", ["resnet18", "deit_tiny_patch16_224", "moganet_xtiny"])
def test_meta_equals_cpu(name):
    image = torch.zeros(1, 3, 224, 224)
    assert count(build(name, "meta"), image.to("meta")) == count(build(name, "cpu"), image)


class Attention(nn.Module):
    def forward(self, x):
        return functional.scaled_dot_product_attention(x, x, x)


class Fourier(nn.Module):
    def forward(self, x):
        return torch.fft.rfft2(x)


class Deformable(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = DeformConv2d(4, 4, 3, padding=1, bias=False)

    def forward(self, x):
        return self.convolution(x, x.new_zeros(1, 18, 8, 8))


class Biased(nn.Module):
    def forward(self, x):
        return torch.baddbmm(x[0], x[0], x[0])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "model", [Attention(), Fourier(), Deformable(), Biased(), nn.Conv2d(4, 4, 3, padding="same")]
)
def test_gaps_of_fvcore(model):
    """What fvcore leaves out and the ``fvcore`` convention does not."""
    model, image = model.eval(), torch.zeros(1, 4, 8, 8)
    with torch.no_grad():
        assert FlopCountAnalysis(model, image).total() == 0
    assert count(model, image).operations["fvcore"] > 0


# By size and pixels: parameters; G by the conventions matmul, fvcore and paper, to the digits once
# measured with PyTorch's and fvcore's own counters and by mmcv's rule; the paper's printed G.
MOGANET = {
    ("xtiny", 224): (2_956_066, "0.782", "0.787", "0.7997", "0.80"),
    ("xtiny", 256): (2_956_066, "1.0215", "1.027", "1.0444", "1.04"),
    ("tiny", 224): (5_197_332, "1.083", "1.088", "1.1031", "1.10"),
    ("tiny", 256): (5_197_332, "1.415", "1.421", "1.4407", "1.44"),
    ("small", 224): (25_335_675, "4.931", "4.941", "4.969", "4.97"),
    ("base", 224): (43_720_475, "9.861", "9.878", "9.9335", "9.93"),
    ("large", 224): (82_480_978, "15.82", "15.84", "15.92", "15.9"),
    ("xlarge", 224): (180_991_924, "34.39", "34.43", "34.55", "34.5"),
    ("xlarge", 384): (180_991_924, "101.1", "101.2", "101.5", "102"),
}


@pytest.mark.parametrize(("size", "pixels"), MOGANET)
def test_moganet(size, pixels):
    subject = Subject(
        task="classification",
        method="classifier",
        backbone=f"moganet_{size}",
        input_size=(pixels, pixels),
    )
    counted = count_subject(subject)
    parameters, *figures, printed = MOGANET[size, pixels]
    assert counted.parameters == counted.trainable_parameters == parameters
    assert not counted.unknown
    for convention, figure in zip(CONVENTIONS, figures, strict=True):
        giga = counted.operations[convention] / 1e9
        assert f"{giga:.{decimals(figure)}f}" == figure
    # XL's 34.554 is printed cut, not rounded: a match is within one of the last digit.
    assert abs(counted.operations["paper"] / 1e9 - float(printed)) < 10 ** -decimals(printed)


def decimals(figure: str) -> int:
    return len(figure.partition(".")[2])


def test_subject_of_an_unknown_task():
    subject = Subject(task="clasification", method="", backbone="resnet18", input_size=(224, 224))
    with pytest.raises(UserError, match="did you mean classification"):
        count_subject(subject)


def test_the_form_for_inference_is_counted_as_its_authors_print_it():
    """5.1 M of RepViT-M0.9 (THU-MIG/RepViT, README.md) are those of the merged network."""
    trained, merged = (
        count_subject(
            Subject(
                task="classification",
                method="classifier",
                backbone="repvit_m0_9",
                input_size=(224, 224),
                form=form,
            )
        )
        for form in (None, "inference")
    )
    assert round(trained.trainable_parameters / 1e6, 1) == 5.5
    assert round(merged.trainable_parameters / 1e6, 1) == 5.1
    assert merged.operations["matmul"] < trained.operations["matmul"]

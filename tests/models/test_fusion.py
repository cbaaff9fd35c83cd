"""`mogabench.models.fuse`: the same function as the plain network, which float64 decides."""

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mogabench.layers.fused_moga import FusedChannelAggregation, FusedSpatialAggregation
from mogabench.layers.fusion import SplitNorm
from mogabench.layers.large_kernel import DilatedDepthwise
from mogabench.layers.moga import CHANNEL_AGGREGATIONS, ChannelAggregation, MogaBlock
from mogabench.measure.complexity import count
from mogabench.models import fuse
from mogabench.models.moganet import MogaNet
from mogabench.models.simvp import SimVP
from mogabench.subject import Subject
from mogabench.tasks import get_task

ABLATIONS: list[dict[str, Any]] = [
    {},
    {"gate": False},
    {"gate_act": "none", "value_act": "sigmoid"},
    {"depthwise": "dw5+dw7d3"},
    {"split": (0, 1, 1)},
    {"feature_decomposition": False},
    {"attn_force_fp32": True},
    {"channel_aggregation": "se"},
    {"channel_aggregation": "none"},
    {"norm_within": "ln"},
    {"norm_after": "ln"},
    {"norm_within": "ln", "norm_after": "ln", "channel_aggregation": "none"},
]


def error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm())


@torch.inference_mode()
def check(network: nn.Module, images: Tensor) -> None:
    fused = fuse(network)
    expected = network.double()(images.double())
    assert error(fused(images), expected) < 1e-5


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
def test_equals_the_plain_network_in_float64(randomise, options):
    network = timm.create_model("moganet_xtiny", num_classes=10, **options)
    check(randomise(network), torch.randn(1, 3, 70, 64))


class Halved(nn.Module):
    """Mixed in, half of what the class computes."""

    def forward(self, x: Tensor) -> Tensor:
        half: Tensor = super().forward(x) / 2
        return half


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        ("", "Halved"),
        ("attn", "Halved"),
        ("attn.value", "Halved"),
        ("attn.proj_1", "Halved"),
        ("mlp", "Halved"),
        ("mlp.dwconv", "Halved"),
        ("mlp.act", "SiLU"),
        ("mlp.decompose", "Sequential"),
    ],
)
def test_changed_parts_of_a_fork_are_not_replaced_by_the_papers(randomise, part, changed):
    network = timm.create_model("moganet_xtiny", num_classes=10)
    for block in [module for module in network.modules() if type(module) is MogaBlock]:
        child = block.get_submodule(part)
        if changed == "Halved":
            child.__class__ = type(changed, (Halved, type(child)), {})
        else:
            block.set_submodule(part, nn.SiLU() if changed == "SiLU" else nn.Sequential(child))
    check(randomise(network), torch.randn(1, 3, 64, 64))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unireplknet_t", "overlock_xt"])
def test_merges_the_kernels_of_other_families(randomise, name):
    network = randomise(timm.create_model(name, num_classes=10))
    assert not any(isinstance(module, DilatedDepthwise) for module in fuse(network).modules())
    check(network, torch.randn(1, 3, 96, 64))


@pytest.mark.slow
@pytest.mark.parametrize("size", ["tiny", "small", "base", "large", "xlarge"])
def test_every_size_equals_the_plain_network(randomise, size):
    check(randomise(timm.create_model(f"moganet_{size}")), torch.randn(1, 3, 32, 32))


def test_leaves_no_batch_norm_and_the_original_as_it_was(randomise):
    network = randomise(timm.create_model("moganet_xtiny")).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fused = fuse(network)
    assert not any(isinstance(module, _BatchNorm) for module in fused.modules())
    assert not fused.training and network.training
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@torch.inference_mode()
@pytest.mark.parametrize("batch_size", [1, 3])
def test_bfloat16_is_as_exact_as_the_plain_network(randomise, batch_size):
    network = randomise(timm.create_model("moganet_xtiny"))
    images = torch.randn(batch_size, 3, 64, 96)
    expected = network.double()(images.double())
    half = images.bfloat16().to(memory_format=torch.channels_last)
    plain, fused = network.bfloat16()(half), fuse(network.float()).bfloat16()(half)
    assert error(fused, expected) < 1.5 * error(plain, expected)


@torch.inference_mode()
def test_autocast(randomise):
    network = randomise(timm.create_model("moganet_xtiny"))
    images = torch.randn(2, 3, 64, 64)
    expected = network(images).double()
    with torch.autocast("cpu", torch.bfloat16):
        plain, fused = network(images), fuse(network)(images)
    assert error(fused, expected) < 1.5 * error(plain, expected)


@torch.inference_mode()
def test_feature_maps_are_those_of_the_plain_network(randomise):
    network = randomise(timm.create_model("moganet_xtiny", features_only=True))
    images = torch.randn(1, 3, 64, 64)
    for found, expected in zip(fuse(network)(images), network(images), strict=True):
        assert error(found, expected.double()) < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize(
    ("task", "method"),
    [("detection", "retinanet"), ("segmentation", "semantic_fpn"), ("pose", "simple_baseline")],
)
def test_fuses_inside_the_networks_of_other_tasks(randomise, task, method):
    subject = Subject(task=task, method=method, backbone="moganet_xtiny", input_size=(64, 64))
    network = randomise(get_task(task).build(subject))
    fused = fuse(network)
    inputs = get_task(task).example_inputs(subject)
    assert any(isinstance(module, FusedSpatialAggregation) for module in fused.modules())
    found, expected = (torch.utils._pytree.tree_leaves(net(*inputs)) for net in (fused, network))
    for one, other in zip(found, expected, strict=True):
        assert error(one, other.double()) < 1e-5


def test_fuses_a_translator(randomise):
    network = randomise(SimVP("moganet", hidden_dim=32, encoder_dim=8, depth=3))
    assert any(isinstance(module, FusedSpatialAggregation) for module in fuse(network).modules())
    check(network, torch.rand(1, 10, 1, 32, 32))


@torch.inference_mode()
def test_a_network_without_a_fused_form_stays_as_it_is(randomise):
    network = randomise(timm.create_model("resnet10t"))
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(fuse(network)(images), network(images))


def test_counts_on_the_meta_device():
    """One matrix product more for each block, of the mean of its input (MogaNet-T, Table A1)."""
    with torch.device("meta"):
        network = timm.create_model("moganet_tiny").eval()
        images = torch.empty(1, 3, 224, 224)
    plain, fused = count(network, images), count(fuse(network), images)
    of_the_means = sum(d * dim**2 for d, dim in zip((3, 3, 12, 2), (32, 64, 128, 256), strict=True))
    assert fused.operations["matmul"] - plain.operations["matmul"] == of_the_means
    assert fused.unknown == {}


@pytest.mark.parametrize("aggregation", CHANNEL_AGGREGATIONS)
def test_the_papers_convention_counts_an_aggregation_as_the_plain_one(aggregation):
    """Its convolutions are the same ones, and the convention counts nothing else of them."""
    with torch.device("meta"):
        plain = ChannelAggregation(8, 24, aggregation=aggregation).eval()
        norm = SplitNorm(nn.Identity(), torch.ones(8), torch.zeros(8))
        fused = FusedChannelAggregation(norm, plain, torch.ones(8)).eval()
        maps = torch.empty(2, 8, 6, 5)
    found, expected = (count(module, maps).operations["paper"] for module in (fused, plain))
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["repvit_m0_9", "fastvit_t8", "shvit_s1", "efficientvim_m1", "nextvit_small"]
)
def test_networks_of_timm_take_the_form_that_timm_has_for_inference(name, randomise):
    network = randomise(timm.create_model(name, num_classes=10)).double()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    fused = fuse(network)
    with torch.inference_mode():
        assert error(fused(images), network(images)) < 1e-9
    layers, merged = (
        sum(bool(list(module.parameters(recurse=False))) for module in each.modules())
        for each in (network, fused)
    )
    assert merged < layers


@pytest.mark.slow
def test_exports_and_compiles(randomise):
    fused = fuse(randomise(MogaNet((16, 16, 32, 32), (1, 1, 1, 1), num_classes=10)))
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = fused(images).double()
    exported = torch.export.export(fused, (images,)).module()
    assert error(exported(images).detach(), expected) < 1e-5
    torch._dynamo.reset()
    with torch.inference_mode():
        compiled = torch.compile(fused, backend="aot_eager", fullgraph=True)
        assert error(compiled(images), expected) < 1e-5

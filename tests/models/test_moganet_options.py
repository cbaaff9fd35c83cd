"""The ablations of the paper as options of the network."""

import pytest
import timm
import torch
from torch import nn

from mogabench.errors import UserError
from mogabench.layers.moga import MultiOrderDepthwise, context_branch
from mogabench.models.moganet import MogaNet

PLAIN = {"feature_decomposition": False, "channel_aggregation": "none"}


def parameters(name, **options):
    with torch.device("meta"):
        model = timm.create_model(name, **options)
    return sum(parameter.numel() for parameter in model.parameters())


def small_network(**options):
    return MogaNet((16, 32, 16, 16), (1, 1, 1, 1), num_classes=5, **options)


@pytest.mark.parametrize(
    ("name", "options", "millions"),
    [
        ("moganet_tiny", {**PLAIN, "depthwise": "dw5"}, 5.093),  # Table A5
        ("moganet_tiny", {**PLAIN, "depthwise": "dw7"}, 5.149),
        ("moganet_tiny", {**PLAIN, "depthwise": "dw5+dw7d3"}, 5.210),
        ("moganet_tiny", {**PLAIN, "depthwise": "dw5+dw5d2+dw7d3"}, 5.270),
        ("moganet_tiny", {**PLAIN, "split": (1, 0, 3)}, 5.180),
        ("moganet_tiny", {**PLAIN, "split": (0, 1, 1)}, 5.182),
        ("moganet_tiny", {**PLAIN, "split": (1, 6, 9)}, 5.181),
        ("moganet_tiny", {**PLAIN, "split": (1, 3, 4)}, 5.174),
        ("moganet_tiny", {**PLAIN, "depthwise": "dw5", "gate": False}, 4.747),  # Table 1
        ("moganet_tiny", {"channel_aggregation": "none"}, 5.176),
        ("moganet_tiny", {}, 5.197),
        ("moganet_small", {}, 25.336),  # Figure 7
        ("moganet_small", {"feature_decomposition": False}, 25.330),
        ("moganet_small", {"depthwise": "dw7"}, 25.278),
        ("moganet_small", {"gate": False}, 23.520),
        ("moganet_small", {"gate": False, "depthwise": "dw7"}, 23.462),
        ("moganet_small", {"channel_aggregation": "none"}, 25.289),
    ],
    ids=str,
)
def test_parameters_of_the_ablations(name, options, millions):
    assert round(parameters(name, **options) / 1e6, 3) == millions


def test_parameters_of_squeeze_and_excitation():
    # Blocks x (two 1x1 convolutions between h hidden and h/16 squeezed channels, with biases).
    expected = sum(
        blocks * (2 * hidden * (hidden // 16) + hidden // 16 + hidden)
        for blocks, hidden in [(3, 256), (3, 512), (12, 512), (2, 1024)]
    )
    se, plain = (parameters("moganet_tiny", channel_aggregation=kind) for kind in ("se", "none"))
    assert se - plain == expected


def test_one_mlp_ratio_for_all_stages():
    # A hidden channel costs two 1x1 weights per channel and 13 more: fc1's bias, the DW3x3's nine
    # weights and bias, the weight of the decomposition, and sigma. Stages 1 and 2 go from 8 to 4.
    fewer = 3 * (4 * 32) * (2 * 32 + 13) + 3 * (4 * 64) * (2 * 64 + 13)
    assert parameters("moganet_tiny", mlp_ratios=4) == parameters("moganet_tiny") - fewer


@pytest.mark.parametrize(
    ("depthwise", "split", "extent"),
    [
        ("dw5", (1, 3, 4), 5),
        ("dw7", (1, 3, 4), 7),
        ("dw5+dw7d3", (1, 3, 4), 5 + 6 * 3),
        ("dw5+dw5d2+dw7d3", (1, 3, 4), 5 + 4 * 2 + 6 * 3),
        ("multi_order", (1, 0, 0), 5),
        ("multi_order", (1, 1, 0), 5 + 4 * 2),
        ("multi_order", (1, 3, 4), 5 + 6 * 3),
    ],
)
def test_context_reaches_as_far_as_its_kernels(depthwise, split, extent):
    torch.manual_seed(0)
    image = torch.zeros(1, 8, 41, 41, requires_grad=True)
    context_branch(8, depthwise, split)(image)[:, :, 20, 20].sum().backward()
    reached = image.grad.abs().sum((0, 1)).nonzero()
    assert reached.min().item() == 20 - extent // 2
    assert reached.max().item() == 20 + extent // 2


def test_an_empty_slice_leaves_the_others_as_they_are():
    torch.manual_seed(0)
    branch = MultiOrderDepthwise(8, (1, 0, 3))
    x = torch.randn(2, 8, 9, 9)
    y = branch.DW_conv0(x)
    expected = branch.PW_conv(torch.cat([y[:, :2], branch.DW_conv2(y[:, 2:])], dim=1))
    torch.testing.assert_close(branch(x), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"split": (1, 0, 3)},
        {"split": (0, 1, 1)},
        {"split": (0, 0, 1)},
        {"split": (1, 1, 1)},
        {"depthwise": "dw5+dw5d2+dw7d3"},
        {"gate": False},
        {"gate_act": "none", "value_act": "sigmoid"},
        {"channel_aggregation": "se"},
        {"norm_within": "ln", "norm_after": "ln"},
        {"attn_force_fp32": True, "drop_rate": 0.1, "drop_path_rate": 0.1},
    ],
    ids=str,
)
def test_every_parameter_is_trained(options):
    torch.manual_seed(0)
    model = small_network(**options)
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_activations_are_those_named():
    torch.manual_seed(0)
    attn = small_network(gate_act="sigmoid", value_act="none").blocks1[0].attn
    x = torch.randn(2, 16, 8, 8)
    y = attn.proj_1(x)
    a = nn.functional.silu(y + attn.sigma.scale * (y - y.mean((2, 3), keepdim=True)))
    expected = attn.proj_2(torch.sigmoid(attn.gate(a)) * attn.value(a)) + x
    torch.testing.assert_close(attn(x), expected)


def test_norms_within_and_after_are_chosen_apart():
    model = small_network(norm_within="ln", norm_after="bn")
    batch_norms = [name for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert batch_norms == ["norm1", "norm2", "norm3", "norm4"]
    maps = small_network(norm_after="ln").forward_intermediates(
        torch.randn(1, 3, 64, 64), intermediates_only=True
    )
    for feature_map in maps:
        torch.testing.assert_close(feature_map.mean(1), torch.zeros_like(feature_map[:, 0]))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"gate_act": "gelo"}, "did you mean gelu"),
        ({"value_act": "relu"}, "unknown value activation 'relu'"),
        ({"depthwise": "dw9"}, "unknown depth-wise layers 'dw9'"),
        ({"split": (1, 3)}, "ratio of three parts"),
        ({"split": (1, -1, 4)}, "ratio of three parts"),
        ({"channel_aggregation": "eca"}, "unknown channel aggregation 'eca'"),
        ({"norm_within": "gn"}, "unknown norm 'gn'"),
        ({"mlp_ratios": (8, 8, 4)}, "one positive number or 4"),
        ({"gate": False, "attn_force_fp32": True}, "needs gate=True"),
    ],
    ids=str,
)
def test_wrong_options_are_explained(options, complaint):
    with pytest.raises(UserError, match=complaint):
        small_network(**options)

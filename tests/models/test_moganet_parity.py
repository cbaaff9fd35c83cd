"""The network against the released one: names, shapes, parameters, outputs, initialisation."""

import json
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import nn

import mogabench.models  # noqa: F401

HERE = Path(__file__).parent
SCRIPT = runpy.run_path(str(HERE / "make_moganet_reference.py"))


@pytest.fixture(scope="module")
def released():
    with np.load(SCRIPT["REFERENCE"]) as arrays:
        return dict(arrays)


def filled(name, **options):
    with torch.device("meta"):
        model = timm.create_model(name, **options)
    model = model.to_empty(device="cpu").eval()
    SCRIPT["fill"](model)
    return model


def distances(model, released, case):
    """Relative L2 distance of the logits and the four feature maps from the released ones."""
    with torch.inference_mode():
        last, maps = model.forward_intermediates(SCRIPT["images"]())
        logits = model.forward_head(last)
    assert [list(x.shape) for x in maps] == [
        list(released[f"{case}/shape{i}"]) for i in range(1, 5)
    ]
    pairs = [(logits.double().numpy(), released[f"{case}/logits"])]
    for stage, feature_map in enumerate(maps, 1):
        pairs.append((SCRIPT["sketch"](feature_map, stage).numpy(), released[f"{case}/map{stage}"]))
    return [np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) for ours, theirs in pairs]


def test_names_and_shapes_are_the_released_ones():
    released = json.loads((HERE / "moganet_tiny_keys.json").read_text())
    with torch.device("meta"):
        ours = timm.create_model("moganet_tiny").state_dict()
    assert {name: list(tensor.shape) for name, tensor in ours.items()} == released
    assert list(ours) == list(released)


@pytest.mark.parametrize("case", SCRIPT["CASES"])
def test_outputs_are_the_released_ones(case, released):
    name, _, option = case.partition("-")
    model = filled(name, **({option: True} if option else {}))
    assert max(distances(model, released, case)) < 1e-5


@pytest.mark.parametrize(
    "options",
    [
        {"gate_act": "gelu"},
        {"value_act": "gelu"},
        {"attn_force_fp32": True},
        {"feature_decomposition": False},
        {"channel_aggregation": "none"},
        {"depthwise": "dw5"},
        {"split": (0, 1, 1)},
    ],
    ids=str,
)
def test_reference_notices_each_branch(options, released):
    assert min(distances(filled("moganet_xtiny", **options), released, "moganet_xtiny")) > 1e-3


def test_initial_weights_are_drawn_as_released():
    torch.manual_seed(0)
    model = timm.create_model("moganet_tiny")
    block = model.blocks3[0]
    spread = {
        block.mlp.fc1: math.sqrt(2 / 512),
        block.mlp.dwconv: math.sqrt(2 / 9),
        block.attn.value.DW_conv0: math.sqrt(2 / 25),
        model.patch_embed4.projection: math.sqrt(2 / (9 * 256)),
        model.head: 0.02,
    }
    for layer, std in spread.items():
        assert layer.weight.std().item() == pytest.approx(std, rel=0.03)
    assert all(not m.bias.any() for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    scales = [p for name, p in model.named_parameters() if "scale" in name]
    assert len(scales) == 4 * 20
    assert all((scale == 1e-5).all() for scale in scales)


def test_stochastic_depth_grows_linearly():
    model = timm.create_model("moganet_xtiny", drop_path_rate=0.1)
    blocks = [block for stage in (1, 2, 3, 4) for block in getattr(model, f"blocks{stage}")]
    rates = [getattr(block.drop_path, "drop_prob", 0.0) for block in blocks]
    np.testing.assert_allclose(rates, np.linspace(0, 0.1, 18), atol=1e-9)

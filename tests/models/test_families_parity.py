"""The families that timm lacks against the released networks: names, shapes, outputs."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

import mogabench.models  # noqa: F401

SCRIPT = runpy.run_path(str(Path(__file__).with_name("make_families_reference.py")))

BGR = {"parcnet_small"}
"""What is released for images whose channels are in that order; ours are for RGB."""


@pytest.fixture(scope="module")
def released():
    with np.load(SCRIPT["REFERENCE"]) as arrays:
        return dict(arrays)


def translated(model, name, released):
    """The made-up weights of a released network by our names, as ``checkpoint_filter_fn`` has it.

    Tensors that are computed, such as indices, are ours.
    """
    shapes = [tuple(map(int, filter(None, x.split("x")))) for x in released[f"{name}/shapes"]]
    entries = zip(released[f"{name}/names"], shapes, released[f"{name}/learned"], strict=True)
    state = {
        key: SCRIPT["made_up"](key, shape) if learned else torch.empty(shape, device="meta")
        for key, shape, learned in entries
    }
    translate = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    given = translate(state, model) if translate else state
    own = model.state_dict()
    return {key: own.get(key) if value.is_meta else value for key, value in given.items()}


def distance(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


@pytest.mark.parametrize("name", SCRIPT["SIZES"])
def test_classifier_is_the_released_one(name, released):
    registered, options = SCRIPT["OURS"].get(name, (name, {}))
    model = timm.create_model(registered, **options).eval()
    assert sum(p.numel() for p in model.parameters()) == released[f"{name}/parameters"]
    model.load_state_dict(translated(model, name, released))
    images = SCRIPT["images"](SCRIPT["SIZES"][name])
    torch.manual_seed(0)  # SReT draws groups of tokens by chance
    with torch.inference_mode():
        logits = model(images.flip(1) if name in BGR else images)
    assert distance(logits.double().numpy(), released[f"{name}/logits"]) < 1e-5


@pytest.mark.parametrize("name", SCRIPT["DENSE_SIZES"])
def test_pyramid_is_the_released_one(name, released):
    model = timm.create_model(name, features_only=True, feature_cls="getter").model.eval()
    state = translated(model, name.removesuffix("_h14"), released)
    unused = model.load_state_dict(state, strict=False).unexpected_keys
    assert {key.partition(".")[0] for key in unused} <= {"head", "norm", "fc_norm", "cls_token"}
    with torch.inference_mode():
        _, maps = model.forward_intermediates(SCRIPT["images"](SCRIPT["DENSE_SIZES"][name]))
    for number, feature_map in enumerate(maps, 1):
        assert list(feature_map.shape) == list(released[f"{name}/shape{number}"])
        sketch = SCRIPT["sketch"](feature_map, number).numpy()
        assert distance(sketch, released[f"{name}/map{number}"]) < 1e-5

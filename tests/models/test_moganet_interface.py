"""MogaNet through timm's interface, on the meta device, compiled, and under autocast."""

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from mogabench.errors import UserError
from mogabench.models.moganet import MogaNet


@pytest.fixture(scope="module")
def xtiny():
    torch.manual_seed(0)
    return timm.create_model("moganet_xtiny", num_classes=10).eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def test_pyramid_on_the_meta_device():
    with torch.device("meta"):
        model = timm.create_model("moganet_base", features_only=True, attn_force_fp32=True)
        maps = model(torch.empty(1, 3, 64, 96))
    assert model.feature_info.channels() == [64, 160, 320, 512]
    assert model.feature_info.reduction() == [4, 8, 16, 32]
    assert [tuple(x.shape) for x in maps] == [
        (1, 64, 16, 24),
        (1, 160, 8, 12),
        (1, 320, 4, 6),
        (1, 512, 2, 3),
    ]


def test_features_only_equals_forward_intermediates(xtiny, images):
    pyramid = timm.create_model("moganet_xtiny", features_only=True, out_indices=(0, 2, 3)).eval()
    unused = pyramid.load_state_dict(xtiny.state_dict(), strict=False)
    assert unused.missing_keys == []
    assert unused.unexpected_keys == ["head.weight", "head.bias"]
    with torch.inference_mode():
        last, maps = xtiny.forward_intermediates(images, indices=[0, 2, -1])
        torch.testing.assert_close(maps, pyramid(images), rtol=0, atol=0)
        torch.testing.assert_close(last, xtiny.forward_features(images), rtol=0, atol=0)
        (second,) = xtiny.forward_intermediates(
            images, indices=[1], stop_early=True, intermediates_only=True
        )
    assert second.shape == (2, 64, 8, 12)
    with pytest.raises(UserError, match="NCHW"):
        xtiny.forward_intermediates(images, output_fmt="NLC")


@pytest.mark.slow
def test_pruning_leaves_the_stages_asked_for(images):
    pruned = timm.create_model(
        "moganet_xtiny", features_only=True, feature_cls="getter", out_indices=(0, 1)
    )
    assert [tuple(x.shape) for x in pruned(images)] == [(2, 32, 16, 24), (2, 64, 8, 12)]
    stages = {name.split(".")[1] for name, _ in pruned.named_parameters()}
    assert stages == {
        f"{part}{stage}" for part in ("patch_embed", "blocks", "norm") for stage in (1, 2)
    }


def test_classifier_can_be_replaced(images):
    torch.manual_seed(0)
    model = timm.create_model("moganet_xtiny").double().eval()
    model.reset_classifier(10)
    assert model.num_classes == model.get_classifier().out_features == 10
    with torch.inference_mode():
        features = model.forward_features(images.double())
        assert model.forward_head(features).shape == (2, 10)
        pooled = model.forward_head(features, pre_logits=True)
        model.reset_classifier(0)
        torch.testing.assert_close(model(images.double()), pooled)
        torch.testing.assert_close(pooled, features.mean((2, 3)))
        model.reset_classifier(0, "")
        torch.testing.assert_close(model(images.double()), features)


def test_checkpointing_keeps_the_gradients_and_not_the_activations(images):
    gradients, saved = [], []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = timm.create_model("moganet_xtiny", num_classes=10, drop_path_rate=0.2).train()
        model.set_grad_checkpointing(checkpointing)
        sizes = []
        with saved_tensors_hooks(lambda x, sizes=sizes: sizes.append(x.numel()) or x, lambda x: x):
            loss = model(images).square().sum()
        saved.append(sum(sizes))
        loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*gradients)
    assert saved[1] < saved[0] / 4


def test_layer_decay_counts_blocks(xtiny):
    groups = param_groups_layer_decay(xtiny, layer_decay=0.5, min_scale=0.0)
    names = {parameter: name for name, parameter in xtiny.named_parameters()}
    scales = {names[x]: group["lr_scale"] for group in groups for x in group["params"]}
    assert scales["head.weight"] == 1
    assert scales["norm4.weight"] == scales["blocks4.1.mlp.fc2.weight"] == 0.5
    assert scales["blocks4.0.mlp.fc2.weight"] == scales["patch_embed4.norm.weight"] == 0.25
    assert min(scales.values()) == scales["patch_embed1.projection.0.weight"] == 0.5**19


def test_gating_in_float32_under_autocast(images):
    torch.manual_seed(0)
    model = timm.create_model("moganet_xtiny", attn_force_fp32=True).eval()
    attn = model.blocks2[1].attn
    seen = {}
    for name in ("gate", "value", "proj_2"):
        getattr(attn, name).register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out})
        )
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        model(images)
    silu, aggregated = nn.functional.silu, seen["proj_2"]
    assert seen["gate"].dtype == seen["value"].dtype == torch.bfloat16
    product = silu(silu(seen["gate"]).float()) * silu(silu(seen["value"]).float())
    assert aggregated.dtype == torch.float32
    torch.testing.assert_close(aggregated, attn.proj_2(product))


@pytest.mark.slow
@pytest.mark.parametrize("attn_force_fp32", [False, True])
def test_compiles_as_one_graph(attn_force_fp32, images):
    model = MogaNet((16, 16, 32, 32), (1, 1, 1, 1), attn_force_fp32=attn_force_fp32).eval()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(images), model(images))


@pytest.mark.slow
def test_compiled_network_computes_the_same(randomise, images):
    model = randomise(MogaNet((16, 16, 32, 32), (1, 1, 1, 1)))
    compiled = torch.compile(model, fullgraph=True)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(images), model(images), rtol=1e-4, atol=1e-5)

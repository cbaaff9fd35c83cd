from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import timm
import torch

import mogabench.models  # noqa: F401  (registers MogaNet with timm)
from mogabench.engine.optimization import AverageWeights, RampedAverage, optim_wrapper
from mogabench.engine.schedule import rate_setter
from mogabench.errors import UserError
from mogabench.openmmlab.backbone import TimmBackbone
from mogabench.recipes.schema import Ema
from mogabench.subject import Subject
from mogabench.tasks import load_recipe
from mogabench.tasks.pose.network import build_network


def test_the_decay_of_the_average_grows_exponentially_from_first_to_last():
    hook = AverageWeights(Ema(decay_start=0.9, decay=0.9999))
    hook.before_run(SimpleNamespace(model=torch.nn.Linear(1, 1), max_iters=301))
    # 1 - decay falls from 1e-1 to 1e-4: a factor of ten in each third.
    for step, decay in ((0, 0.9), (100, 0.99), (200, 0.999), (300, 0.9999)):
        assert hook.ema_model.decay(step) == pytest.approx(decay, abs=1e-12)


def test_the_average_follows_weights_and_running_statistics():
    norm = torch.nn.BatchNorm1d(1)
    average = RampedAverage(norm, total=3, first=0.5, last=0.875)
    for value in (8.0, 16.0, 0.0):
        norm.weight.data.fill_(value)
        norm.running_mean.fill_(-value)
        average.update_parameters(norm)
    # 1 - decay is 1/2, 1/4, 1/8: starts at 8, then 8 + (16 - 8)/4 = 10, then 10 - 10/8.
    assert average.module.weight.item() == pytest.approx(8.75)
    assert average.module.running_mean.item() == pytest.approx(-8.75)


@pytest.mark.parametrize(
    "settings",
    [["name=adamw"], ["name=lamb"], ["name=sgd"], ["name=adan", "betas=[0.98, 0.92, 0.99]"]],
)
def test_biases_and_norms_have_no_weight_decay(settings):
    network = timm.create_model("test_convnext")
    overrides = [f"optimizer.{setting}" for setting in settings]
    recipe = load_recipe("sample_digits", overrides=overrides)
    optimizer = optim_wrapper(network, recipe, amp=None, accumulation=1).optimizer
    decays = {
        id(x): group["weight_decay"] for group in optimizer.param_groups for x in group["params"]
    }
    assert decays == {
        id(x): 0.0 if x.ndim < 2 else recipe.optimizer.weight_decay for x in network.parameters()
    }


SHALLOW = {"depths": (1, 1, 1, 1)}
SWIN = "swin_tiny_patch4_window7_224"
TABLE = "attn.relative_position_bias_table"


def pose_network(backbone, **options):
    return build_network(
        Subject(
            task="pose",
            method="simple_baseline",
            backbone=backbone,
            input_size=(64, 64),
            options=options,
        )
    )


@pytest.mark.parametrize(
    ("build", "spared"),
    [
        (
            lambda: timm.create_model("xcit_nano_12_p16_224", depth=1),
            "pos_embed.token_projection.weight",
        ),
        (lambda: timm.create_model("sret_tiny", depths=(1, 1, 1)), "patch_embed1.pos_embed"),
        (lambda: TimmBackbone(SWIN, **SHALLOW), f"network.layers_3.blocks.0.{TABLE}"),
        (lambda: TimmBackbone("focal_tiny", **SHALLOW), f"network.blocks1.0.{TABLE}_to_neighbors"),
        (lambda: pose_network(SWIN, **SHALLOW), f"backbone.layers_3.blocks.0.{TABLE}"),
        (
            lambda: pose_network("hrformer_base", modules=(1, 1, 1)),
            f"backbone.stage2.0.branches.0.0.attn.{TABLE}",
        ),
    ],
)
def test_what_a_network_names_has_no_weight_decay(build, spared):
    network = build()
    recipe = load_recipe("sample_digits")
    optimizer = optim_wrapper(network, recipe, amp=None, accumulation=1).optimizer
    (decay,) = (
        group["weight_decay"]
        for group in optimizer.param_groups
        if any(x is network.get_parameter(spared) for x in group["params"])
    )
    assert decay == 0


LAYERS = {  # by mmcv_custom/layer_decay_optimizer_constructor.py of MogaNet's detectors
    "patch_embed1.projection.0": 13,
    "patch_embed2.norm": 10,
    "patch_embed3.projection": 9,
    "patch_embed4.projection": 1,
    "blocks1.1.norm2": 11,
    "blocks2.0.mlp.fc1": 10,
    "blocks3.0.mlp.fc2": 10,
    "blocks3.1.attn.gate": 10,
    "blocks3.2.attn.gate": 9,
    "blocks3.15.attn.gate": 3,
    "blocks3.16.attn.gate": 2,
    "blocks3.21.attn.gate": 2,
    "blocks4.0.attn.gate": 1,
    "norm1": 0,
    "norm4": 0,
}
"""How often the rate of a part is multiplied by 0.8."""


def test_the_rate_and_the_decay_of_cascade_b_are_the_released_ones():
    backbone = timm.create_model("moganet_xtiny", features_only=True, depths=(2, 1, 22, 1))
    network = torch.nn.ModuleDict({"backbone": backbone, "head": torch.nn.Linear(8, 8)})
    recipe = load_recipe("cascade_mask_rcnn_ms3x", variant="b")
    optimizer = optim_wrapper(network, recipe, amp=None, accumulation=1).optimizer
    set_rate = rate_setter(recipe.schedule, optimizer, steps_per_epoch=2000)
    group = {id(value): one for one in optimizer.param_groups for value in one["params"]}
    found = {name: group[id(value)] for name, value in network.named_parameters()}
    for step, rate in ((0, 1e-7), (1000, 1e-4), (27 * 2000, 1e-5)):
        set_rate(step)
        assert found["head.weight"]["lr"] == pytest.approx(rate)
        for part, power in LAYERS.items():
            for name in (f"backbone.{part}.weight", f"backbone.{part}.bias"):
                assert found[name]["lr"] == pytest.approx(rate * 0.8**power)
    for name, value in network.named_parameters():
        spared = name.endswith("bias") or value.squeeze().ndim == 1
        if "decompose" not in name:
            assert found[name]["weight_decay"] == (0.0 if spared else 0.05)
    with pytest.raises(UserError, match="this network has no layers patch_embed1, blocks1 and so"):
        optim_wrapper(network["head"], recipe, amp=None, accumulation=1)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("adamww", "unknown optimizer 'adamww'; did you mean .*adamw"),
        ("fusedadamw", "unknown optimizer 'fusedadamw'; did you mean .*adamw"),  # of apex
        ("adahessian", "unknown optimizer 'adahessian'"),  # of second derivatives
        (
            "sgd optimizer.betas=[0.8,0.99]",
            "sgd has no betas: leave .0.8, 0.99. out",
        ),
        ("sgd optimizer.eps=1e-3", "sgd has no eps: leave 0.001 out"),
        ("adan", r"adan has 3 betas, not \[0.9, 0.999\]; --set .*=\[0.98, 0.92, 0.99\]' sets"),
    ],
)
def test_the_error_of_an_optimizer_that_cannot_be_made(name, said):
    recipe = load_recipe("sample_digits", overrides=f"optimizer.name={name}".split())
    with pytest.raises(UserError, match=said):
        optim_wrapper(torch.nn.Linear(1, 1), recipe, amp=None, accumulation=1)


@pytest.mark.parametrize(
    ("name", "has_momentum"),
    [("adam", True), ("lion", True), ("sgd", True), ("adadelta", False), ("adafactor", False)],
)
def test_one_cycle_needs_a_momentum(name, has_momentum):
    recipe = load_recipe("sample_video", overrides=[f"optimizer.name={name}"])
    refused = pytest.raises(
        UserError, match=f"moves the momentum, which {name} does not have: take adam"
    )
    with nullcontext() if has_momentum else refused:
        wrapper = optim_wrapper(torch.nn.Linear(1, 1), recipe, amp=None, accumulation=1)
        rate_setter(recipe.schedule, wrapper.optimizer, 9)(0)  # where PyTorch would refuse it


def test_the_optimizer_is_the_recipes():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    network.scale = torch.nn.Parameter(torch.ones(4))
    settings = "lr: 0.01, weight_decay: 0.2, betas: [0.7, 0.8], eps: 1e-5, decay_biases: true"
    recipe = load_recipe("sample_digits", overrides=[f"optimizer={{name: adamw, {settings}}}"])
    optimizer = optim_wrapper(network, recipe, amp=None, accumulation=1).optimizer
    groups = optimizer.param_groups
    assert {(g["lr"], tuple(g["betas"]), g["eps"]) for g in groups} == {(0.01, (0.7, 0.8), 1e-5)}
    decays = {id(x): group["weight_decay"] for group in groups for x in group["params"]}
    # The scale, weight and bias of the convolution, of the norm.
    assert [decays[id(x)] for x in network.parameters()] == [0, 0.2, 0.2, 0, 0]
    set_rate = rate_setter(recipe.schedule, optimizer, steps_per_epoch=100)
    rates = {group: [] for group in range(len(groups))}
    for step in range(100 * recipe.schedule.epochs):
        set_rate(step)
        for group, found in rates.items():
            found.append(groups[group]["lr"])
    assert [max(found) for found in rates.values()] == pytest.approx([0.01] * len(groups), rel=1e-3)


@pytest.mark.parametrize(("largest", "norm"), [("null", 50**0.5), ("0.5", 0.5)])
def test_the_gradient_is_clipped(largest, norm):
    network = torch.nn.Linear(3, 1)
    sgd = f"optimizer={{name: sgd, lr: 0.1, weight_decay: 0.0, clip_grad: {largest}}}"
    recipe = load_recipe("sample_digits", overrides=[sgd])
    before = torch.nn.utils.parameters_to_vector(network.parameters()).detach()
    wrapper = optim_wrapper(network, recipe, amp=None, accumulation=1)
    wrapper.update_params(network(torch.tensor([2.0, 3, 6])).sum())  # the gradient: 2, 3, 6, and 1
    moved = torch.nn.utils.parameters_to_vector(network.parameters()) - before
    # By timm's Nesterov momentum of 0.9 the first step is 1.9 times as long.
    assert moved.norm().item() == pytest.approx(0.1 * 1.9 * norm, rel=1e-4)

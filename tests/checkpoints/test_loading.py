"""Weights of one network, renamed as other toolkits name them, arrive in another one."""

import re

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from mogabench.catalogue import create_network
from mogabench.checkpoints import load_into, load_weights
from mogabench.errors import UserError
from mogabench.subject import Subject


def _renamed(weights, prefix, head=None):
    """The weights as ``prefix`` + name; the classifier as ``head`` + name where that is given."""
    return {
        head + name.removeprefix("head.") if head and name.startswith("head.") else prefix + name: w
        for name, w in weights.items()
    }


def _saved(payload, path):
    torch.save(payload, path)
    return path


def _state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def _same(left, right):
    return left.keys() == right.keys() and all(
        torch.equal(left[name], right[name]) for name in left
    )


@pytest.fixture(scope="module")
def trained():
    """A MogaNet whose every tensor, running statistics too, differs from a fresh one's."""
    torch.manual_seed(1)
    weights = timm.create_model("moganet_xtiny").state_dict()
    return {
        name: torch.rand_like(w) if w.is_floating_point() else torch.tensor(3)
        for name, w in weights.items()
    }


@pytest.fixture
def fresh():
    return timm.create_model("moganet_xtiny")


@pytest.mark.parametrize(
    "layout",
    [
        lambda w: w,
        lambda w: {"state_dict": _renamed(w, "module."), "arch": "moganet_xtiny"},
        lambda w: {"model": w, "epoch": 299},
        lambda w: {"state_dict": _renamed(w, "backbone.", "head.fc.")},
        lambda w: {"state_dict": _renamed(w, "module.backbone.", "module.head.fc.")},
        lambda w: {"state_dict": _renamed(w, "network."), "message_hub": {"log_scalars": {}}},
        lambda w: {"state_dict": {}, "state_dict_ema": _renamed(w, "module.")},
    ],
    ids=["plain", "DDP", "DeiT", "OpenMixup", "OpenMixup DDP", "mmengine wrapper", "timm EMA"],
)
def test_every_tensor_arrives_from_every_layout(layout, trained, fresh, tmp_path):
    path = _saved(layout(trained), tmp_path / "w.pth")
    report = load_weights(fresh, path)
    assert _same(_state(fresh), trained)
    assert (report.loaded, report.ignored) == (len(trained), ())


def test_safetensors_into_a_wrapped_model(trained, fresh, tmp_path):
    save_file(trained, tmp_path / "w.safetensors")
    load_weights(nn.DataParallel(torch.compile(fresh)), tmp_path / "w.safetensors")
    assert _same(_state(fresh), trained)


def test_detector_file_gives_its_backbone(trained, tmp_path):
    backbone = {name: w for name, w in trained.items() if not name.startswith("head.")}
    others = {
        "neck.lateral_convs.0.conv.weight": torch.ones(2),
        "rpn_head.norm4.weight": torch.ones(192),
        "ema_backbone_norm1_weight": torch.ones(32),
    }
    weights = _renamed(backbone, "backbone.") | others
    path = _saved({"meta": {"CLASSES": ("cat",)}, "state_dict": weights}, tmp_path / "det.pth")

    features = timm.create_model("moganet_xtiny", features_only=True)
    report = load_weights(features, path)
    assert _same(_state(features), backbone)
    assert set(report.ignored) == others.keys()

    classifier = timm.create_model("moganet_xtiny")
    before = _state(classifier)
    with pytest.raises(UserError, match=r"has no classifier that fits$"):
        load_weights(classifier, path)
    assert _same(_state(classifier), before)
    load_weights(classifier, path, new_head=True)
    head = {name: before[name] for name in ("head.weight", "head.bias")}
    assert _same(_state(classifier), backbone | head)


@pytest.mark.parametrize(
    ("name", "stages"),
    [("moganet_xtiny", (0, 1, 2)), ("test_convnext", (0, 1)), ("test_vit", (0, 5))],
    ids=["feature list", "flattened feature list", "feature getter"],
)
def test_pruned_features_equal_those_of_the_whole_network(name, stages, tmp_path):
    whole = timm.create_model(name).eval()
    for parameter in whole.parameters():
        nn.init.normal_(parameter, std=0.2)
    features = timm.create_model(name, features_only=True, out_indices=stages).eval()
    load_weights(features, _saved(_state(whole), tmp_path / "w.pth"))
    images = torch.randn(1, *whole.pretrained_cfg["input_size"])
    with torch.no_grad():
        expected = whole.forward_intermediates(
            images, indices=list(stages), norm=False, intermediates_only=True
        )
        assert all(map(torch.equal, features(images), expected))


@pytest.mark.parametrize("features", [{"num_classes": 0}, {"features_only": True}])
def test_deeper_network_is_not_mistaken_for_a_pruned_one(features, tmp_path):
    deeper = timm.create_model("test_convnext", depths=(1, 2, 5, 2))
    path = _saved(_state(deeper), tmp_path / "w.pth")
    with pytest.raises(UserError, match=r": 9 unexpected \(stages[._]2\.blocks\.4"):
        load_weights(timm.create_model("test_convnext", **features), path)


@pytest.mark.parametrize(
    "options",
    [
        {"channel_aggregation": "none"},
        {"feature_decomposition": False},
        {"gate": False},
        {"depths": (3, 3, 10, 1)},
    ],
)
def test_a_network_with_fewer_parts_is_not_mistaken_for_a_pruned_one(trained, tmp_path, options):
    features = create_network("moganet_xtiny", {**options, "features_only": True})
    with pytest.raises(UserError, match=r"does not fit moganet_xtiny: \d+ unexpected"):
        load_weights(features, _saved(trained, tmp_path / "w.pth"))


def test_what_is_pruned_may_be_of_a_network_that_reads_numbers_as_it_is_built(
    tmp_path, monkeypatch
):
    def reading(name, create=timm.create_model, **options):
        torch.zeros(1).item()
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", reading)
    path = _saved(_state(timm.create_model("test_vit")), tmp_path / "w.pth")
    load_weights(create_network("test_vit", {"features_only": True, "out_indices": (0,)}), path)


def test_what_is_pruned_is_of_a_network_of_the_same_options(tmp_path):
    pruned = {"features_only": True, "out_indices": (0,)}
    path = _saved(_state(timm.create_model("test_vit", depth=8)), tmp_path / "w.pth")
    load_weights(create_network("test_vit", {"depth": 8, **pruned}), path)
    with pytest.raises(UserError, match=r"unexpected \(blocks\.7"):
        load_weights(create_network("test_vit", {"depth": 7, **pruned}), path)


def test_other_class_count_needs_a_new_head(trained, tmp_path):
    path = _saved(trained, tmp_path / "w.pth")
    model = timm.create_model("moganet_xtiny", num_classes=10)
    before = _state(model)
    with pytest.raises(UserError, match=r"has 1000 classes, the network 10$"):
        load_weights(model, path)
    assert _same(_state(model), before)

    report = load_weights(model, path, new_head=True)
    head = {name: before[name] for name in ("head.weight", "head.bias")}
    assert _same(_state(model), trained | head)
    assert set(report.ignored) == head.keys()
    assert report.new_head


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({}, "--option num_classes=1000"),  # of an export
        (
            {"class_map": True},
            "--option num_classes=1000 or --class-map FILE with all 1000 classes",
        ),
        ({"class_map": True, "classes": "ab"}, "--class-map FILE with all 1000 classes"),
        ({"train": True, "classes": "ab"}, "--new-head to train a new classifier"),
    ],
)
def test_other_classes_are_refused_with_the_options_that_help(trained, tmp_path, options, advice):
    model = timm.create_model("moganet_xtiny", num_classes=2)
    subject = Subject(
        task="classification", method="default", backbone="moganet_xtiny", input_size=(224, 224)
    )
    with pytest.raises(UserError, match=f"has 1000 classes, the network 2: give {advice}$"):
        load_into(model, _saved(trained, tmp_path / "w.pth"), subject, **options)


def test_network_without_classifier_ignores_the_files(trained, tmp_path):
    model = timm.create_model("moganet_xtiny", num_classes=0)
    report = load_weights(model, _saved(trained, tmp_path / "w.pth"))
    assert report.ignored == ("head.weight", "head.bias")


def test_every_kind_of_mismatch_is_counted_and_named(trained, fresh, tmp_path):
    weights = dict(trained)
    for number in range(4):
        del weights[f"blocks3.{number}.norm1.bias"]
    weights["extra.weight"] = torch.ones(1)
    weights["norm2.weight"] = torch.ones(7)
    before = _state(fresh)
    expected = (
        "does not fit moganet_xtiny: 4 missing (blocks3.0.norm1.bias, blocks3.1.norm1.bias, "
        "blocks3.2.norm1.bias, …); 1 unexpected (extra.weight); "
        "1 of another shape (norm2.weight is 7 and should be 64)"
    )
    with pytest.raises(UserError, match=f"{re.escape(expected)}$"):
        load_weights(fresh, _saved(weights, tmp_path / "w.pth"))
    assert _same(_state(fresh), before)


def test_other_variant_is_recognised_by_its_shapes(fresh, tmp_path):
    weights = _state(timm.create_model("moganet_tiny", num_classes=7))
    path = _saved({"state_dict": _renamed(weights, "backbone.", "head.fc.")}, tmp_path / "w.pth")
    before = _state(fresh)
    with pytest.raises(UserError, match=r"does not fit moganet_xtiny.*it fits moganet_tiny better"):
        load_weights(fresh, path)
    assert _same(_state(fresh), before)


def test_another_network_says_what_it_calls_itself(fresh, tmp_path):
    weights = timm.create_model("test_resnet").state_dict()
    path = _saved({"arch": "test_resnet", "state_dict": weights}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"it calls itself test_resnet$"):
        load_weights(fresh, path)


@pytest.mark.parametrize("wrapped", ["", "module."])
def test_a_family_s_own_release_loads_under_its_names(wrapped, tmp_path):
    trained, fresh = (timm.create_model("van_b0", num_classes=7) for _ in range(2))
    released = {  # as Visual-Attention-Network/VAN-Classification names them
        wrapped
        + re.sub(r"(layer_scale_\d)\.gamma", r"\1", name)
        .replace("blocks", "block")
        .replace(".mlp.dwconv.", ".mlp.dwconv.dwconv."): tensor
        for name, tensor in trained.state_dict().items()
    }
    assert f"{wrapped}block1.0.mlp.dwconv.dwconv.weight" in released
    torch.save({"state_dict": released}, tmp_path / "van.pth.tar")
    load_weights(fresh, tmp_path / "van.pth.tar")
    for name, tensor in trained.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor), name


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_of_a_training_that_diverged_are_refused(trained, fresh, tmp_path, value):
    spoiled = trained | {
        "head.bias": trained["head.bias"].clone().index_fill(0, torch.tensor(7), value)
    }
    path, before = _saved(spoiled, tmp_path / "nan.pth"), _state(fresh)
    with pytest.raises(UserError, match=r"nan.pth .* not finite, such as in head.bias"):
        load_weights(fresh, path)
    assert _same(before, _state(fresh))

"""Every registered network against what timm's own tests ask of a network.

What they ask is in ``tests/test_models.py`` of timm's repository. Networks are tested on few
pixels, and most of them in the slow tests.
"""

import math
import re
from copy import deepcopy
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch.utils._pytree import tree_leaves

import mogabench.models
from mogabench.errors import UserError

QUICK = {"convnext", "moganet", "pvt", "van"}
"""Families whose smallest network is tested in every run: ours, timm's own, tokens, and maps."""

LARGER = {
    *("conformer_small_patch16", "cswin_base", "focal_base", "hornet_base", "hornet_small"),
    *("litv2_base", "litv2_medium", "litv2_medium_ws4", "moganet_base", "moganet_large"),
    *("moganet_small", "moganet_xlarge", "overlock_b", "overlock_s", "overlock_t", "pvt_large"),
    *("pvt_medium", "replknet_31l", "slak_base", "slak_small", "uniformer_base"),
    *("uniformer_base_h14", "uniformer_base_h32", "unireplknet_b", "unireplknet_l"),
    *("unireplknet_n", "unireplknet_s", "unireplknet_t", "unireplknet_xl", "van_b2", "van_b3"),
}
"""Networks that differ from one of their family in no more than channels and blocks."""

REGISTERED = sorted(
    name
    for name in timm.list_models()
    if timm.model_entrypoint(name).__module__.startswith(f"{mogabench.models.__name__}.")
)

FAMILIES = {
    module.name: import_module(f"{mogabench.models.__name__}.{module.name}")
    for module in iter_modules(mogabench.models.__path__)
    if module.name != "simvp"
}

SMALLEST = {kind: next(iter(module.default_cfgs)) for kind, module in FAMILIES.items()} | {
    "conformer": "conformer_small_patch32"  # of fewer tokens than the one with patches of 16
}
"""The network that a family registers first, but for exceptions."""

TOKENS = {"fan", "mvit", "pvt", "t2t_vit", "vit_c"}
"""Families whose last features are tokens ``(N, L, C)``, some with a class token before them."""

STREAMS = {"conformer", "mobileformer"}
"""Families whose last features are a map and tokens."""

CHANNELS_LAST = {"swin"}

WITHOUT_CLASSIFIER = {"rsn"}

WITHOUT_STOCHASTIC_DEPTH = {"rsn", "shufflenetv2"}

SCRIPTABLE = {"botnet", "convnext", "swin", "vit_c"}
"""Families that are timm's own networks."""

UNREACHED = {"rsn": r"upsample\.up[123]\.res_conv"}
"""What makes RSN's coarser heat maps, which a loss may ask for."""

WITHOUT_FIRST_CONVOLUTION = {"t2t_vit"}

MINIMUM_CHECKED = 40
"""Fewer would mean that the list of networks has lost some."""


def family(name):
    return timm.model_entrypoint(name).__module__.rpartition(".")[2]


def sides(name):
    """Few pixels where a network takes any number."""
    cfg = timm.get_pretrained_cfg(name)
    return cfg.input_size[1:] if cfg.fixed_input_size else (64, 96)


def each(*, without=()):
    """The networks; most are for the slow tests."""
    quick = {SMALLEST[kind] for kind in QUICK}
    return [
        pytest.param(name, marks=() if name in quick else pytest.mark.slow)
        for name in REGISTERED
        if name not in without
    ]


@cache
def _plain(name):
    with torch.device("meta"):
        return timm.create_model(name).eval()


def meta(name, **options):
    """A network without values: they would take most of the time."""
    if not options:
        return deepcopy(_plain(name))
    with torch.device("meta"):
        return timm.create_model(name, **options).eval()


def images(name, batch=2, channels=3, size=None):
    return torch.empty(batch, channels, *(size or sides(name)), device="meta")


def make(name, seed=0, **options):
    torch.manual_seed(seed)
    return timm.create_model(name, **options)


def pictures(name, batch=2):
    generator = torch.Generator().manual_seed(7)
    return torch.randn(batch, 3, *sides(name), generator=generator)


def as_map(name, x):
    return x.permute(0, 3, 1, 2) if family(name) in CHANNELS_LAST else x


def test_every_family_is_here():
    assert {family(name) for name in REGISTERED} == FAMILIES.keys()
    assert set(SMALLEST.values()) <= set(REGISTERED) - LARGER
    assert len(REGISTERED) > MINIMUM_CHECKED and set(REGISTERED) > LARGER


@pytest.mark.parametrize("name", each())
def test_default_cfg_describes_the_network(name):
    model = meta(name)
    cfg, state = model.default_cfg, model.state_dict()
    assert cfg is model.pretrained_cfg
    assert (cfg["architecture"], cfg["num_classes"]) == (name, model.num_classes)
    assert model.in_chans == 3
    assert len(cfg["mean"]) == len(cfg["std"]) == cfg["input_size"][0] == 3
    classifiers = cfg["classifier"] or ()
    classifiers = (classifiers,) if isinstance(classifiers, str) else classifiers
    own = model.get_classifier()
    own = own if isinstance(own, tuple) else (own,)
    assert bool(classifiers) == bool(model.num_classes)
    for classifier in classifiers:
        assert state[f"{classifier}.weight"].shape[0] == model.num_classes
    if classifiers:
        assert model.get_submodule(classifiers[0]) is own[0]
    if family(name) in WITHOUT_FIRST_CONVOLUTION:
        assert cfg["first_conv"] is None
    else:
        assert state[f"{cfg['first_conv']}.weight"].shape[1] == 3


@pytest.mark.parametrize("name", each(without=LARGER))
def test_last_features_have_the_stated_channels_and_size(name):
    model, kind = meta(name), family(name)
    features = model.forward_features(images(name, size=model.default_cfg["input_size"][1:]))
    first = features[0] if kind in STREAMS else features
    if kind in TOKENS:
        assert (first.ndim, first.shape[-1]) == (3, model.num_features)
    else:
        first = as_map(name, first)
        assert first.shape == (2, model.num_features, *model.default_cfg["pool_size"])


@pytest.mark.parametrize("name", each(without=LARGER))
def test_without_a_classifier_comes_what_the_classifier_gets(name):
    given = images(name)
    model = meta(name)
    features = model.forward_features(given)
    logits, before = model.forward_head(features), model.forward_head(features, pre_logits=True)
    if family(name) in WITHOUT_CLASSIFIER:
        assert model(given).shape == before.shape
        with pytest.raises(UserError, match="no classifier"):
            model.reset_classifier(5)
    else:
        assert logits.shape == (2, model.num_classes)
        assert before.shape == (2, model.head_hidden_size)
        model.reset_classifier(7)
        assert model(given).shape == (2, model.num_classes) == (2, 7)
    model.reset_classifier(0)
    assert model.num_classes == 0
    assert model(given).shape == before.shape
    assert isinstance(model.get_classifier(), torch.nn.Identity)
    assert meta(name, num_classes=0)(given).shape == before.shape


@pytest.mark.parametrize("name", each(without=LARGER))
def test_without_pooling_the_map_comes_out(name):
    given = images(name)
    whole = meta(name)
    features = whole.forward_features(given)
    # CMT widens the map before it pools.
    channels = whole.head_hidden_size if family(name) == "cmt" else whole.num_features
    for model in (whole, meta(name, num_classes=0, global_pool="")):
        model.reset_classifier(0, "")
        unpooled = model(given)
        if family(name) in TOKENS:
            assert unpooled.shape == features.shape
        else:
            unpooled = as_map(name, unpooled)
            assert unpooled.shape[:2] == (2, channels)
            first = features[0] if family(name) in STREAMS else as_map(name, features)
            assert unpooled.shape[2:] == first.shape[2:]


@pytest.mark.parametrize("feature_cls", [None, "getter"])
@pytest.mark.parametrize("name", each(without=LARGER))
def test_feature_maps_are_as_announced(name, feature_cls):
    options = {"feature_cls": feature_cls} if feature_cls else {}
    pyramid = meta(name, features_only=True, in_chans=1, **options)
    channels, strides = pyramid.feature_info.channels(), pyramid.feature_info.reduction()
    maps = pyramid(images(name, channels=1))
    assert len(maps) == len(channels)
    maps = [x if feature_cls else as_map(name, x) for x in maps]
    for x, dim, stride in zip(maps, channels, strides, strict=True):
        assert x.shape[:2] == (2, dim)
        for length, side in zip(x.shape[2:], sides(name), strict=True):
            assert side // stride <= length <= math.ceil(side / stride) + 1
    last = meta(name, features_only=True, out_indices=(-1,), **options)
    assert last.feature_info.channels() == channels[-1:]
    (only,) = last(images(name))
    assert (only if feature_cls else as_map(name, only)).shape == (2, channels[-1], *x.shape[2:])


@pytest.mark.parametrize("name", each())
def test_layer_decay_reaches_from_the_stem_to_the_classifier(name):
    model = meta(name)
    groups = param_groups_layer_decay(model, layer_decay=0.5, min_scale=0.0)
    names = {id(parameter): key for key, parameter in model.named_parameters()}
    scales = {names[id(x)]: group["lr_scale"] for group in groups for x in group["params"]}
    assert len(scales) == sum(p.requires_grad for p in model.parameters())
    first = model.default_cfg["first_conv"] or "patch_embed.attention1.kqv"
    assert scales[f"{first}.weight"] == min(scales.values()) < 0.5
    if family(name) not in WITHOUT_CLASSIFIER:
        classifiers = model.default_cfg["classifier"]
        for key in [classifiers] if isinstance(classifiers, str) else classifiers:
            assert scales[f"{key}.weight"] == 1


@pytest.mark.parametrize("name", each())
def test_stochastic_depth_is_set_or_refused(name):
    if family(name) in WITHOUT_STOCHASTIC_DEPTH:
        with pytest.raises(TypeError, match="drop_path_rate"):
            meta(name, drop_path_rate=0.3)
        return
    rates = [
        module.drop_prob
        for module in meta(name, drop_path_rate=0.3).modules()
        if type(module).__name__ == "DropPath"
    ]
    assert 0 < max(rates) <= 0.3 + 1e-6


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize("name", each())
def test_scripting_works_or_is_refused(name):
    if family(name) not in SCRIPTABLE:
        with pytest.raises(UserError, match=r"^\w+ cannot go through torch.jit.script"):
            torch.jit.script(meta(name))
        return
    model, given = make(name).eval(), pictures(name, batch=1)
    with torch.inference_mode():
        torch.testing.assert_close(torch.jit.script(model)(given), model(given))


@pytest.mark.parametrize("name", each(without=LARGER))
def test_intermediates_end_with_the_last_features(name):
    model, given = make(name).eval(), pictures(name, batch=1)
    with torch.inference_mode():
        torch.manual_seed(1)  # SReT draws groups of tokens by chance
        expected = model.forward_features(given)
        torch.manual_seed(1)
        found, maps = model.forward_intermediates(given)
    torch.testing.assert_close(found, expected)
    assert all(x.isfinite().all() for x in [*maps, *tree_leaves(found)])


@pytest.mark.parametrize("name", each(without=LARGER))
def test_training_reaches_every_parameter_and_recomputes_the_same(name):
    gradients = []
    for recomputing in (False, True):
        model, given = make(name).train(), pictures(name)
        model.set_grad_checkpointing(recomputing)
        outputs = model(given)
        assert outputs.isfinite().all()
        outputs.square().mean().backward()
        learning = {key: p for key, p in model.named_parameters() if p.requires_grad}
        reached = {key: p.grad for key, p in learning.items() if p.grad is not None}
        unreached = re.compile(UNREACHED.get(family(name), "^$"))
        assert {key for key in learning if not unreached.match(key)} == reached.keys()
        gradients.append(reached)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", each(without=set(REGISTERED) - set(SMALLEST.values())))
def test_weights_load_for_other_classes_and_channels(name, tmp_path):
    trained = make(name, seed=1)
    torch.save(trained.state_dict(), tmp_path / "trained.pth")
    overlay = {"pretrained": True, "pretrained_cfg_overlay": {"file": tmp_path / "trained.pth"}}
    if family(name) in WITHOUT_FIRST_CONVOLUTION:
        with pytest.raises(RuntimeError, match="size mismatch"):
            make(name, in_chans=1, **overlay)
        return
    classes = 0 if family(name) in WITHOUT_CLASSIFIER else 5
    model = make(name, in_chans=1, num_classes=classes, **overlay)
    own, theirs = model.state_dict(), trained.state_dict()
    first = f"{model.default_cfg['first_conv']}.weight"
    torch.testing.assert_close(own[first], theirs[first].sum(dim=1, keepdim=True))
    classifiers = model.default_cfg["classifier"] or ()
    heads = tuple([classifiers] if isinstance(classifiers, str) else classifiers)
    others = [key for key in own if key != first and not (heads and key.startswith(heads))]
    assert all(torch.equal(own[key], theirs[key]) for key in others)
    assert all(own[f"{head}.weight"].shape[0] == classes for head in heads)

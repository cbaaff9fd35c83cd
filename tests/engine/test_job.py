from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from timm.layers import DropPath
from torchvision.ops import StochasticDepth

from mogabench.engine.make_job import make_job
from mogabench.errors import UserError
from mogabench.runtimes import RUNTIMES
from mogabench.subject import Subject
from mogabench.tasks import get_task


def made(backbone="moganet_tiny", size=(224, 224), **changes):
    settings = {
        "data": "/data",
        "size_is_given": False,
        "recipe": None,
        "overrides": (),
        "weights": None,
        "train": True,
        "work_dir": None,
        "device": "cpu",
    }
    subject = Subject(
        task="classification", method="classifier", backbone=backbone, input_size=size
    )
    return make_job(get_task("classification"), subject, **(settings | changes))


def test_training_follows_the_paper_for_the_size_of_the_model():
    job = made()
    assert (job.recipe.name, job.recipe.variant) == ("in1k_300e", "t")
    assert job.recipe.optimizer.weight_decay == 0.04  # Table A2
    assert job.work_dir == Path("work/classification/moganet_tiny-in1k_300e")


def test_a_folder_and_files_below_home_are_there(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    job = made(work_dir=Path("~/w"), predictions=Path("~/p.csv"), confusion=Path("~/c.csv"))
    found = (job.work_dir, job.predictions, job.confusion)
    assert found == tuple(Path("/home/someone", name) for name in ("w", "p.csv", "c.csv"))


def test_the_sample_has_its_own_recipe_and_size():
    job = made(data="sample")
    assert (job.recipe.name, job.subject.input_size) == ("sample_digits", (32, 32))


def test_an_evaluation_takes_the_network_s_own_preprocessing(tmp_path):
    (tmp_path / "weights.pth").touch()
    job = made(backbone="resnet18", train=False, weights=str(tmp_path / "weights.pth"))
    assert (job.recipe, job.work_dir) == (None, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": False}, "needs --weights FILE to evaluate, or --train"),
        ({"pretraining": "in21k"}, "in21k: the training begins with random weights, as there"),
        ({"pretraining": "none", "weights": __file__}, "none: the training begins with --weights"),
        (
            {"pretraining": "in21k", "weights": "official"},
            "in21k: the official weights were trained on in1k",
        ),
        ({"train": False, "overrides": ["seed=1"]}, "--set changes a recipe: add --recipe"),
        ({"train": False, "weights": "none.pth"}, "there is no file 'none.pth'"),
        ({"size": (256, 224), "size_is_given": True}, "square images: give --size one number"),
        ({"recipe": "in1k_300"}, "unknown recipe 'in1k_300'; did you mean in1k_300e"),
        ({"overrides": ["optimizer.rl=1"]}, "unknown key 'optimizer.rl'; did you mean .*lr"),
        (
            {"train": False, "weights": "official", "overrides": ["precise_bn=8192"]},
            "released weights were trained by in1k_300e as it is: leave out --set precise_bn",
        ),
        (
            {"train": False, "weights": "official", "overrides": ["input.train_size=128"]},
            "trained by in1k_300e as it is: leave out --set input.train_size, or",
        ),
        ({"resume": True, "deadline": 60.0}, "--time-budget chooses the length of a new"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"device": "cuda:99"}, "--device cuda:99: PyTorch sees"),
        ({"amp": "float8"}, "unknown autocast type 'float8'"),
        ({"amp": "float16"}, "training in float16 needs a GPU"),
        ({"batch_size": 0}, "--batch-size 0 is not a positive number"),
        ({"workers": -1}, "--workers -1 is negative"),
    ],
)
def test_errors_of_contradicting_settings(changes, message):
    with pytest.raises(UserError, match=message):
        made(**changes)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_machine_without_a_gpu_says_so():
    with pytest.raises(UserError, match=r"PyTorch sees no GPU\(s\) on this machine"):
        made(device="cuda")
    assert made(device="auto").device == "cpu"


@pytest.fixture
def official(monkeypatch, tmp_path):
    """The settings of an evaluation of weights that need not be fetched."""
    monkeypatch.setattr("mogabench.engine.make_job.resolve_weights", lambda *_, **__: tmp_path)
    return {"size_is_given": True, "train": False, "weights": "official"}


@pytest.mark.parametrize(("side", "recipe"), [(224, "in1k_300e"), (256, "in1k_300e_256")])
@pytest.mark.parametrize("data", ["/data", "sample"])
def test_official_weights_bring_the_recipe_they_were_trained_by(official, data, side, recipe):
    job = made(size=(side, side), data=data, **official)
    assert (job.recipe.name, job.recipe.changes) == (recipe, {})
    assert job.recipe.input.crop_ratio == 0.9


def test_official_weights_at_another_size_are_not_said_to_be_trained_at_it(official):
    """The detectors' and segmentors', that is: those of classifiers are for their size alone."""
    known = {"data": "/data", "recipe": None, "overrides": (), "work_dir": None, "device": "cpu"}
    task = get_task("detection")
    for size, changes in (
        ((800, 1280), {}),
        ((640, 1024), {"input.train_scales": [[1333, 800]]}),
    ):
        subject = Subject(
            task="detection", method="mask_rcnn", backbone="moganet_small", input_size=size
        )
        job = make_job(task, subject, **(known | official))
        assert (job.recipe.name, job.recipe.changes) == ("mask_rcnn_1x", changes)


@pytest.mark.parametrize(
    ("runtime", "device"), [("torch", "cuda"), ("openvino", "cpu"), ("onnxruntime", "cpu")]
)
def test_a_machine_with_a_gpu_runs_other_runtimes_where_they_compute(
    monkeypatch, tmp_path, runtime, device
):
    monkeypatch.setattr(
        "mogabench.engine.make_job.choose_device", lambda name: name.replace("auto", "cuda")
    )
    (weights := tmp_path / "w.pth").touch()
    job = made(train=False, weights=str(weights), runtime=runtime, device="auto")
    assert job.device == device


def test_a_runtime_names_the_device_that_it_does_not_compute_on(monkeypatch, tmp_path):
    monkeypatch.setattr("mogabench.engine.environment.find_gpu_fault", lambda *_: "no driver")
    monkeypatch.setattr(RUNTIMES["tensorrt"], "check_installed", lambda: None)
    (weights := tmp_path / "w.pth").touch()
    job = made(train=False, weights=str(weights), runtime="onnxruntime")
    with pytest.raises(UserError, match="onnxruntime evaluates on the CPU, not on cuda"):
        replace(job, device="cuda")
    with pytest.raises(UserError, match="tensorrt evaluates on a GPU, not on cpu"):
        replace(job, runtime="tensorrt")
    assert replace(job, runtime="tensorrt", device="cuda:1").device == "cuda:1"


def test_weights_that_state_no_recipe_were_not_trained_by_the_samples(tmp_path):
    (weights := tmp_path / "w.pth").touch()
    job = made(data="sample", train=False, weights=str(weights))
    assert (job.recipe, job.subject.input_size) == (None, (224, 224))


def test_a_size_goes_into_the_recipe_and_is_no_change_of_it():
    job = made(size=(256, 256), size_is_given=True, recipe="in1k_refined")
    assert (job.recipe.input.train_size, job.recipe.input.test_size) == (256, 256)  # Table A7
    assert (job.recipe.name, job.recipe.changes) == ("in1k_refined", {})
    smaller = made(size=(192, 192), size_is_given=True, recipe="rsb_a3_100e")
    assert (smaller.recipe.input.train_size, smaller.recipe.input.test_size) == (160, 192)
    by_hand = made(overrides=["input.train_size=192", "input.test_size=192"])
    assert (by_hand.subject.input_size, by_hand.recipe.changes) == ((192, 192), {})


def test_changes_of_a_recipe_are_listed_but_for_its_seed():
    changed = made(recipe="in1k_refined", overrides=["optimizer.lr=1e-4", "seed=7", "ema={}"])
    assert changed.recipe.changes == {
        "optimizer.lr": 1e-4,
        "ema.decay_start": 0.9,
        "ema.decay": 0.9999,
    }
    assert changed.seed == 7
    assert made(overrides=["seed=7", "optimizer.lr=1e-3"]).recipe.changes == {}


def test_the_network_is_for_the_datas_classes_and_the_recipes_drop_path():
    job = made()  # Table A2: stochastic depth 0.1 for MogaNet-T
    assert dict(job.network_subject(7).options) == {"num_classes": 7, "drop_path_rate": 0.1}
    assert dict(job.network_subject().options) == {"drop_path_rate": 0.1}
    options = {"num_classes": 5, "drop_path_rate": 0.3}
    own = replace(job, subject=job.subject.model_copy(update={"options": tuple(options.items())}))
    with pytest.raises(
        UserError, match="has 5 classes, but /data has 7: --option num_classes must"
    ):
        own.network_subject(7)
    with pytest.raises(UserError, match=r"0.3 contradicts .* 0.1; --set model.drop_path=0.3"):
        own.network_subject(5)


def rates(network):
    """Of stochastic depth, one for each residual branch that has it."""
    paths = [module for module in network.modules() if isinstance(module, DropPath)]
    others = [module for module in network.modules() if isinstance(module, StochasticDepth)]
    return [module.drop_prob for module in paths] + [module.p for module in others]


def test_a_drop_path_of_0_is_that_of_the_network_whatever_its_default(job):
    small = {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 1), "window_size": 2}
    swin = Subject(
        task="classification",
        method="classifier",
        backbone="swin_tiny_patch4_window7_224",
        input_size=(64, 64),
        options=small,
    )
    assert max(rates(timm.create_model(swin.backbone, img_size=64, **small))) == pytest.approx(0.1)
    sizes = ("input.train_size=64", "input.test_size=64")
    at_0 = job(*sizes, subject=swin)
    at_2 = job(*sizes, "model.drop_path=0.2", subject=swin)
    prepare = get_task("classification").prepare
    assert not any(rates(prepare(at_0).model.network))
    assert max(rates(prepare(at_2).model.network)) == pytest.approx(0.2)
    own = swin.model_copy(update={"options": (*swin.options, ("drop_path_rate", 0.3))})
    with pytest.raises(UserError, match=r"0.3 contradicts .* 0.0; --set model.drop_path=0.3"):
        replace(at_0, subject=own).network_subject()


@pytest.mark.parametrize("backbone", ["vgg11", "hrnet_w18_small", "convnext_atto"])
def test_networks_that_take_no_drop_path_are_built_for_one_of_0(backbone, monkeypatch):
    if backbone == "convnext_atto":
        # As by a user's function that states the rate itself: another one is a TypeError.
        monkeypatch.setattr(timm, "create_model", partial(with_own_rate, timm.create_model))
    build = get_task("classification").build
    with torch.device("meta"):
        assert not any(rates(build(made(backbone, recipe="rsb_a3_100e").network_subject(5))))
        with pytest.raises(UserError, match=rf"{backbone} cannot be built with .*drop_path_rate"):
            build(made(backbone, overrides=["model.drop_path=0.1"]).network_subject(5))


def test_a_drop_path_of_0_is_that_of_torchvision_s_networks(monkeypatch):
    """Which have 0.1 by default, and take no rate by timm's name."""
    whole = torchvision.models.convnext_tiny
    monkeypatch.setattr(timm, "create_model", lambda name, num_classes: whole())
    with torch.device("meta"):
        assert max(rates(whole())) == pytest.approx(0.1)
        at_0 = made("resnet18", recipe="rsb_a3_100e").network_subject(5)
        assert not any(rates(get_task("classification").build(at_0)))


def with_own_rate(create, name, **options):
    return create(name, drop_path_rate=0.3, **options)

from pathlib import Path

import pytest
import torch

from mogabench.engine.job import make_job
from mogabench.engine.record import recipe_label
from mogabench.errors import UserError
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
        ({"train": False, "overrides": ["seed=1"]}, "--set changes a recipe: add --recipe"),
        ({"train": False, "weights": "none.pth"}, "there is no file 'none.pth'"),
        ({"size": (256, 224), "size_is_given": True}, "square images: give --size one number"),
        ({"recipe": "in1k_300"}, "unknown recipe 'in1k_300'; did you mean in1k_300e"),
        ({"overrides": ["optimizer.rl=1"]}, "unknown key 'optimizer.rl'; did you mean .*lr"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"device": "cuda:99"}, "--device cuda:99: PyTorch sees"),
        ({"amp": "float8"}, "unknown autocast type 'float8'"),
        ({"amp": "float16"}, "training in float16 needs a GPU"),
        ({"on_bad_image": "skipp"}, "unknown way to treat a bad image 'skipp'"),
        ({"batch_size": 0}, "--batch-size 0 is not a positive number"),
        ({"boxes": Path("persons.json")}, "--boxes is for pose alone"),
        ({"workers": -1}, "--workers -1 is negative"),
    ],
)
def test_what_does_not_fit_is_told(changes, message):
    with pytest.raises(UserError, match=message):
        made(**changes)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_machine_without_a_gpu_says_so():
    with pytest.raises(UserError, match=r"PyTorch sees no GPU\(s\) on this machine"):
        made(device="cuda")
    assert made(device="auto").device == "cpu"


@pytest.mark.parametrize(("side", "recipe"), [(224, "in1k_300e"), (256, "in1k_300e_256")])
def test_official_weights_bring_the_recipe_they_were_trained_by(
    monkeypatch, tmp_path, side, recipe
):
    monkeypatch.setattr("mogabench.checkpoints.resolve_weights", lambda *_: tmp_path)
    job = made(size=(side, side), size_is_given=True, train=False, weights="official")
    assert job.recipe.name == recipe and job.recipe.input.crop_ratio == 0.9


def test_a_size_goes_into_the_recipe_and_keeps_its_name():
    job = made(size=(256, 256), size_is_given=True, recipe="in1k_refined")
    assert (job.recipe.input.train_size, job.recipe.input.test_size) == (256, 256)  # Table A7
    assert recipe_label(job.recipe) == "in1k_refined"
    smaller = made(size=(192, 192), size_is_given=True, recipe="rsb_a3_100e")
    assert (smaller.recipe.input.train_size, smaller.recipe.input.test_size) == (160, 192)
    changed = made(recipe="in1k_refined", overrides=["optimizer.lr=1e-3", "seed=7"])
    assert recipe_label(changed.recipe) == "in1k_refined (changed)"
    assert recipe_label(made(overrides=["seed=7"]).recipe) == "in1k_300e"

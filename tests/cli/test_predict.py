"""Weights that do not say what they are for: `mogabench predict` and `mogabench.load`."""

import io
import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from mogabench import load
from mogabench.analysis.trained import open_trained
from mogabench.checkpoints import Description, save_checkpoint
from mogabench.cli.predict import _stems
from mogabench.errors import UserError
from mogabench.models.simvp import SimVP
from mogabench.subject import Subject
from mogabench.tasks.classification.names import class_names

NETWORK = ["--backbone", "test_resnet", "--size", "64", "--option", "num_classes=3"]


@pytest.fixture
def photograph(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.fixture
def expected(photograph, tmp_path):
    """The classes that timm itself predicts, most probable first, by weights in ``w.pth``."""
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=3).eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    transform = create_transform(**resolve_model_data_config(network) | {"input_size": (3, 64, 64)})
    with torch.inference_mode():
        odds = network(transform(Image.open(photograph))[None]).softmax(1)[0]
    return [
        (label, pytest.approx(float(odds[label]), abs=2e-6))
        for label in odds.argsort().tolist()[::-1]
    ]


def test_a_network_that_is_named_predicts_as_timm_does(expected, photograph, tmp_path):
    how = {"network": "test_resnet", "input_size": (64, 64)}
    found = load(tmp_path / "w.pth", **how, options={"num_classes": 3}).predict(photograph)
    assert list(zip(found.labels, found.probabilities, strict=True)) == expected
    (tmp_path / "names.txt").write_text("cat\ndog\neel\n")
    named = load(tmp_path / "w.pth", **how, class_map=tmp_path / "names.txt").predict(photograph)
    assert named.probabilities == found.probabilities
    assert named.classes == tuple(("cat", "dog", "eel")[label] for label, _ in expected)


@pytest.mark.parametrize(("data", "numbered"), [({}, False), ({"name": "wds/cifar"}, True)])
def test_classes_of_data_that_names_none_are_not_imagenets(data, numbered, photograph, tmp_path):
    """Of 1000 outputs, as a network has them for shards whose number of classes nobody gave."""
    stated = Description("classification", "classifier", "test_resnet", data=data)
    weights = timm.create_model("test_resnet").state_dict()
    file = tmp_path / "w.pth"
    save_checkpoint(file, {"state_dict": weights, "meta": stated.to_meta()})
    found = load(file).predict(photograph)
    assert (found.classes == tuple(f"class {label}" for label in found.labels)) == numbered
    subject = Subject(
        task="classification", method="classifier", backbone="test_resnet", input_size=(64, 64)
    )
    how = {"weights": str(file), "stated": stated, "device": "cpu", "sized": True}
    assert (class_names(open_trained(subject, **how).classes, 1000)[0] == "class 0") == numbered


@pytest.mark.parametrize("from_pipe", [False, True])
def test_the_command_predicts_the_same(from_pipe, expected, photograph, mogabench, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(photograph.read_bytes())))
    given = ["-"] if from_pipe else [photograph, "--format", "json"]
    out, _ = mogabench("predict", *given, "--weights", "w.pth", *NETWORK)
    ((image, classes),) = (found.values() for found in json.loads(out))
    assert image == ("stdin" if from_pipe else "a.png")
    assert [(one["label"], one["probability"]) for one in classes] == expected


def test_names_may_begin_with_a_tilde_and_home_may_be_one(
    expected, photograph, mogabench, monkeypatch, tmp_path
):
    """``~$a.png`` is a name that editors give, and a shell leaves ``--output=~/out`` as it is."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    photograph.rename("~$a.png")
    Path("w.pth").rename("~w.pth")
    mogabench("predict", "~$a.png", "--weights", "~w.pth", *NETWORK, "--output=~/out")
    written = {path.name for path in (tmp_path / "home" / "out").iterdir()}
    assert written == {"~$a.png", "predictions.json"} and not Path("~").exists()


def test_each_item_has_files_of_its_own(expected, photograph, mogabench, tmp_path):
    names = ["x.jpg", "x.png", "x.jpg.png", "x_mask.png", os.fsdecode(b"caf\xe9.png")]
    (tmp_path / "photos").mkdir()
    for name in names:
        shutil.copy(photograph, tmp_path / "photos" / name)
    mogabench("predict", "photos", "--weights", "w.pth", *NETWORK, "-o", "out")
    listed = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert {one["image"] for one in listed} == {*names}
    files = {path.name for path in (tmp_path / "out").iterdir()} - {"predictions.json"}
    assert files == {f"{name}.png" for name in names}


def test_an_input_is_never_replaced_and_no_output_becomes_one(expected, photograph, mogabench):
    folder, command = photograph.parent, ["--weights", "w.pth", *NETWORK]
    content = photograph.read_bytes()
    _, err = mogabench("predict", "a.png", *command, "-o", ".", status=2)
    assert "a.png is one of the inputs; choose another one" in err
    _, err = mogabench("predict", ".", *command, "-o", folder, status=2)
    assert "is where the inputs are; choose another folder" in err
    for _ in range(2):
        mogabench("predict", ".", *command)
        listed = json.loads((folder / "predictions" / "predictions.json").read_text())
        assert [one["image"] for one in listed] == ["a.png"]
    assert photograph.read_bytes() == content


@pytest.fixture
def upernet(tmp_path):
    """Weights that say no more than what they are of."""
    meta = Description("segmentation", "upernet", "resnet10t").to_meta()
    save_checkpoint(tmp_path / "u.pth", {"state_dict": {"weight": torch.zeros(1)}, "meta": meta})


@pytest.mark.parametrize(
    ("words", "method"),
    [
        ("", "upernet"),
        ("--backbone resnet18", "upernet"),
        ("--method semantic_fpn", "semantic_fpn"),
    ],
)
@pytest.mark.usefixtures("upernet")
def test_the_method_is_the_weights_whoever_names_the_network(words, method, mogabench, monkeypatch):
    def make_job(task, subject, **_):
        raise UserError(f"seen {subject.method}")

    monkeypatch.setattr("mogabench.engine.make_job.make_job", make_job)
    for command in ("predict a.png", "run segmentation --data /data"):
        _, err = mogabench(*command.split(), "--weights", "u.pth", *words.split(), status=2)
        assert err == f"mogabench: seen {method}\n"


@pytest.mark.usefixtures("upernet")
@pytest.mark.parametrize("command", ["predict a.png --task", "export --to pt2 --task", "run"])
def test_weights_of_another_task_are_called_so(command, mogabench):
    named = (*command.split(), "detection", "--weights", "u.pth")
    where = ("--data", "/data") if command == "run" else ()
    _, err = mogabench(*named, *where, status=2)
    says = "u.pth holds the weights of segmentation/upernet/resnet10t, not of detection"
    assert err == f"mogabench: {says}\n"


@pytest.fixture
def sequence(tmp_path):
    """The frames of a sequence in ``seq``, and weights to predict from them in ``video.pth``."""
    small = {"encoder_dim": 8, "hidden_dim": 16, "depth": 2}
    network = SimVP("convmixer", input_size=(2, 1, 8, 12), **small)
    stated = Description("video", "simvp", "convmixer", options=small, input_size=(2, 1, 8, 12))
    meta = stated.to_meta()
    save_checkpoint(tmp_path / "video.pth", {"state_dict": network.state_dict(), "meta": meta})
    (tmp_path / "seq").mkdir()
    for number in range(3):
        Image.fromarray(np.zeros((8, 12), np.uint8)).save(tmp_path / "seq" / f"{number}.png")
    return tmp_path / "seq"


def test_what_an_earlier_run_drew_is_no_sequence(sequence, mogabench):
    for _ in range(2):
        mogabench("predict", ".", "--weights", "video.pth")
        listed = json.loads((sequence.parent / "predictions" / "predictions.json").read_text())
        assert [one["sequence"] for one in listed] == ["seq"]


def test_the_current_folder_may_be_a_sequence(sequence, mogabench, monkeypatch):
    monkeypatch.chdir(sequence)
    out, _ = mogabench("predict", ".", "--weights", "../video.pth")
    assert out.startswith("seq: 2 frames of 1x8x12 after the last 2")
    assert (sequence / "predictions" / "seq.gif").exists()


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["a.jpg", "b.jpg"], ["a", "b"]),
        (["a.jpg", "a_mask.jpg"], ["a.jpg", "a_mask.jpg"]),
        (["a/b.jpg", "a_mask.jpg", "b.jpg"], ["a/b", "a_mask", "b"]),
    ],
)
def test_a_mask_is_not_replaced_by_the_picture_of_another_image(names, stems):
    assert _stems(names, (".png", "_mask.png")) == stems
    with pytest.raises(UserError, match=r"two items would write a_mask\.png: rename"):
        _stems(["a", "a_mask"], (".png", "_mask.png"))


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("--task video", {"task": "video"}),
        ("--variant s", {"network": "moganet_small"}),
        ("--backbone resnet18", {"network": "resnet18"}),
        ("--method simvp", {"method": "simvp"}),
        ("--size 64x96", {"input_size": (64, 96)}),
        ("--option depth=3 --option act=gelu", {"options": {"depth": 3, "act": "gelu"}}),
        ("--class-map m.txt", {"class_map": Path("m.txt")}),
        ("--boxes b.json", {"boxes": Path("b.json")}),
        ("--out-frames 20", {"out_frames": 20}),
        ("--layout NTHW", {"layout": "NTHW"}),
        ("--device cuda", {"device": "cuda"}),
    ],
)
def test_each_option_says_what_is_loaded(words, given, mogabench, monkeypatch):
    seen = {}

    def load(weights, **settings):
        seen.update(settings, weights=weights)
        raise UserError("seen")

    monkeypatch.setattr("mogabench.api.load", load)
    mogabench("predict", "a.png", "--weights", "w.pth", *words.split(), status=2)
    nothing = dict.fromkeys(("task", "network", "method", "input_size"))
    assert seen == {"weights": "w.pth", **nothing, "options": {}, "device": "auto"} | given

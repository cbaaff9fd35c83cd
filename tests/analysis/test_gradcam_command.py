"""``mogabench analyze gradcam`` as a whole."""

import csv
import json
import sys
from shutil import copy

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform
from timm.models import register_model
from torch import nn
from typer.testing import CliRunner

from mogabench import catalogue
from mogabench.analysis.figures import written_figures
from mogabench.cli import app
from mogabench.cli.analyze.networks import open_network_alone
from mogabench.records import Kind, Store


class Colours(nn.Module):
    """Sees red, green or blue: the positive part of each channel, averaged, is its logit."""

    pretrained_cfg = {
        **{"input_size": (3, 8, 8), "mean": (0.5,) * 3, "std": (0.5,) * 3},
        **{"crop_pct": 1.0, "interpolation": "nearest"},
    }

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.num_classes = classes
        self.act = nn.ReLU()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        logits = self.act(self.scale * x).mean(dim=(2, 3))
        return nn.functional.pad(logits, (0, self.num_classes - 3))


@register_model
def colours_in_test(pretrained=False, num_classes=1000, **_):
    return Colours(num_classes)


@pytest.fixture
def command(tmp_path, monkeypatch):
    # As if by --import: the names of this file are not kept in the cache folder.
    monkeypatch.setattr(catalogue, "_imported", {__name__: sys.modules[__name__]})
    catalogue.backbones.cache_clear()
    monkeypatch.chdir(tmp_path)
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:2, :4, 0], pixels[4:, 6:, 2] = (
        255,
        255,
    )  # red above on the left, blue below on the right
    Image.fromarray(pixels).save("flag.png")
    torch.save(Colours(1000).state_dict(), "weights.pth")
    torch.save(
        {
            "state_dict": Colours(3).state_dict(),
            "meta": {
                **{"task": "classification", "method": "classifier"},
                **{"backbone": "colours_in_test", "options": {"num_classes": 3}},
                **{"classes": ("red", "green", "blue"), "input_size": (8, 8)},
            },
        },
        "stated.pth",
    )

    def run(*given):
        return CliRunner().invoke(
            app, ["analyze", "gradcam", "--image", "flag.png", *given, "--results", "results"]
        )

    yield run
    catalogue.backbones.cache_clear()


NETWORK = ("--models", "colours_in_test", "--weights")


def test_figure_numbers_and_records(command, tmp_path):
    two = "colours_in_test,colours_in_test"
    files = ("--weights", "stated.pth", "--weights", "stated.pth")
    result = command("--models", two, *files, "--class", "Blue", "--format", "json")
    assert result.exit_code == 0, result.output
    ((title, name),) = written_figures(tmp_path / "results")
    assert title == (
        "Figure 8's counterpart: Grad-CAM activation maps of flag.png: colours_in_test stated.pth"
    )
    assert name.startswith("analyses/gradcam_flag-colours-in-test-stated-pth-blue-")
    rows = list(csv.DictReader((tmp_path / "results" / f"{name}.csv").open()))
    heat = np.array([float(row["heat"]) for row in rows]).reshape(2, 8, 8)
    blue = np.zeros((8, 8))
    blue[4:, 6:] = 1
    assert np.array_equal(heat, [blue, blue])
    assert {row["class"] for row in rows} == {"blue"}
    first, _ = json.loads(result.stdout)
    values = {name: value["value"] for name, value in first["values"].items()}
    # The logits are the means of 8, 0 and 8 of 64 positions; half of the heat is in 4 of them.
    probability = np.exp(1 / 8) / (2 * np.exp(1 / 8) + 1)
    assert values.pop("probability") == pytest.approx(100 * probability)
    assert values == {
        **{"class": 2, "predicted class": 0, "rows": 8, "columns": 8},
        **{"area of half the heat": 100 * 4 / 64},
    }
    assert first["subject"]["input_size"] == [8, 8]
    assert len(first["provenance"]["weights"]) == len(first["provenance"]["data"]["digest"]) == 64
    # The second network's record repeats the first one's.
    assert len(list(Store(tmp_path / "results").all(Kind.ACTIVATION_MAP))) == 1


def test_networks_of_one_name_are_told_apart(command, tmp_path):
    files = ["stated.pth", str(tmp_path / "stated.pth"), "1/out/stated.pth", "2/out/stated.pth"]
    for folder in ("1/out", "2/out"):
        (tmp_path / folder).mkdir(parents=True)
        copy("stated.pth", folder)
    result = command(
        "--models", ",".join(["colours_in_test"] * 4), *(f"--weights={file}" for file in files)
    )
    assert result.exit_code == 0, result.output
    assert command(*NETWORK, "stated.pth", "--layer", "act").exit_code == 0
    assert command(*NETWORK, "stated.pth", "--layer", "act", "--class", "blue").exit_code == 0
    called = {}
    for _, name in written_figures(tmp_path / "results"):
        rows = csv.DictReader((tmp_path / "results" / f"{name}.csv").open())
        called[name.rpartition("_")[2][:-9]] = {row["network"] for row in rows}
    short = [files[0], f"{tmp_path.name}/stated.pth", *files[2:]]
    several = {f"colours_in_test {file}" for file in short}
    assert sorted(called.values(), key=len)[2] == several
    assert called["flag-colours-in-test-act-red"] == called["flag-colours-in-test-act-blue"]


@pytest.mark.slow
def test_classes_by_name_and_by_number(command):
    def label(*given):
        result = command(*NETWORK, *given, "--size", "8", "--format", "json")
        assert result.exit_code == 0, result.exception
        (record,) = json.loads(result.stdout)
        return record["values"]["class"]["value"], record["notes"][0], record["values"]

    assert label("stated.pth")[:2] == (0, "class 0 is red")
    assert label("stated.pth", "--class", "2")[0] == 2
    # Of 1000 classes, those of ImageNet: names as timm has them, and their synonyms.
    assert label("weights.pth", "--class", "tinca tinca")[:2] == (
        0,
        "class 0 is tench, Tinca tinca",
    )
    # Nothing is green: the map is empty, and there is no half of it.
    values = label("stated.pth", "--class", "green")[2]
    assert "area of half the heat" not in values and values["class"]["value"] == 1


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("none.pth",), "there is no file 'none.pth'"),
        (("stated.pth", "--image", "none.png"), "cannot read the image none.png"),
        (("stated.pth", "--image", "copy/flag.png"), "several images are called flag.png"),
        (("stated.pth", "--class", "yellow"), "unknown class 'yellow'"),
        (("stated.pth", "--class", "3"), "has 3 classes, numbered from 0"),
        (("weights.pth", "--class", "crane"), "name of several: 134 and 517"),
        (("stated.pth", "--layer", "act", "--layer", "act"), "given 2 time(s) for 1 networks"),
        (("stated.pth", "--layer", "act2"), "unknown layer 'act2'; did you mean act?"),
    ],
)
def test_what_cannot_be_drawn_is_refused(command, tmp_path, given, complaint):
    assert complaint in str(command(*NETWORK, *given).exception)
    assert not (tmp_path / "results").exists()


def test_weights_of_another_task_are_refused(command):
    meta = {"task": "detection", "method": "retinanet", "backbone": "colours_in_test"}
    meta |= {"recipe": "retinanet_1x", "recipe_settings": {"task": "detection"}}
    torch.save({"state_dict": Colours(1000).state_dict(), "meta": meta}, "detector.pth")
    says = "detector.pth holds the weights of detection/retinanet/colours_in_test, not of classif"
    assert says in str(command(*NETWORK, "detector.pth").exception)


def test_the_package_is_named_where_it_is_missing(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    result = command(*NETWORK, "stated.pth")
    assert "pip install 'mogabench[analysis]'" in str(result.exception)


def test_images_are_seen_as_timm_evaluates(tmp_path):
    network = timm.create_model("test_convnext")
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    opened = open_network_alone(
        "test_convnext", str(tmp_path / "weights.pth"), size="64", device="cpu"
    )
    config = timm.data.resolve_model_data_config(network) | {"input_size": (3, 64, 64)}
    expected = create_transform(**config, is_training=False)(Image.fromarray(pixels))
    seen = opened.see(tmp_path / "noise.png")
    assert torch.equal(seen, expected)
    mean, std = (torch.tensor(config[name])[:, None, None] for name in ("mean", "std"))
    shown = torch.from_numpy(opened.show(seen)).movedim(-1, 0)
    torch.testing.assert_close((shown - mean) / std, expected)

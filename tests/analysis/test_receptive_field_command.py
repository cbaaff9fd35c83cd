"""``mogabench analyze receptive-field`` as a whole, on a network whose field is known."""

import csv
import json
import sys

import pytest
import torch
from PIL import Image
from timm.models import register_model
from torch import nn
from typer.testing import CliRunner

from mogabench import catalogue
from mogabench.analysis.figures import written_figures
from mogabench.cli import app
from mogabench.records import Kind, Store


class Box(nn.Module):
    """A box filter, pooled into two classes."""

    num_classes = 2
    pretrained_cfg = {"input_size": (3, 16, 16), "mean": (0.2,) * 3, "std": (0.1,) * 3}

    def __init__(self, side):
        super().__init__()
        self.filter = nn.Conv2d(3, 2, side, padding=side // 2)
        nn.init.ones_(self.filter.weight)
        nn.init.constant_(self.filter.bias, 100)

    def forward_features(self, x):
        return self.filter(x)

    def forward(self, x):
        return self.forward_features(x).mean((2, 3))


@register_model
def box_in_test(pretrained=False, side=3, **_):
    return Box(side)


@register_model
def formless_in_test(pretrained=False, **_):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    network.pretrained_cfg, network.num_classes = Box.pretrained_cfg, 2
    return network


@pytest.fixture
def command(tmp_path, monkeypatch):
    # As if by --import: the names of this file are not kept in the cache folder.
    monkeypatch.setattr(catalogue, "_imported", {__name__: sys.modules[__name__]})
    catalogue.backbones.cache_clear()
    for name in ("a", "b"):
        folder = tmp_path / "data" / "val" / name
        folder.mkdir(parents=True)
        for shade in (80, 160):
            Image.new("RGB", (16, 16), (shade,) * 3).save(folder / f"{shade}.png")
    torch.save(Box(3).state_dict(), tmp_path / "weights.pth")

    def run(*given):
        given = [*given, "--results", str(tmp_path / "results"), "--device", "cpu"]
        return CliRunner().invoke(app, ["analyze", "receptive-field", *given])

    yield run
    catalogue.backbones.cache_clear()


@pytest.mark.slow
def test_trained_and_untrained_networks_at_two_sizes(command, tmp_path):
    result = command(
        *("--models", "box_in_test?side=5, box_in_test", "--weights", "none"),
        *("--weights", str(tmp_path / "weights.pth"), "--data", str(tmp_path / "data")),
        *("--size", "16", "--size", "32", "--images", "3", "--format", "json"),
    )
    assert result.exit_code == 0, result.output
    records = json.loads(result.stdout)
    for record, side, size in zip(records, (5, 5, 3, 3), (16, 32, 16, 32), strict=True):
        assert record["subject"]["input_size"] == [size, size]
        area = record["values"]["area ratio of contribution at 0.99"]["value"]
        assert area == pytest.approx(side**2 / size**2)
        assert record["values"]["images"]["value"] == 3
        is_trained = side == 3
        assert ("weights" in record["provenance"]) == is_trained
        assert any("untrained" in note for note in record["notes"]) != is_trained
        data = record["provenance"]["data"]["name"]
        assert data == ("folder:data" if is_trained else "noise")
    assert len(list(Store(tmp_path / "results").all(Kind.RECEPTIVE_FIELD))) >= 4


def test_the_figure_and_its_numbers_are_written(command, tmp_path):
    result = command("--models", "box_in_test", "--weights", "none", "--size", "16")
    assert "box_in_test, untrained" in result.output
    ((title, name),) = written_figures(tmp_path / "results")
    assert title == "Effective receptive field on noise: box_in_test, untrained"
    rows = list(csv.DictReader((tmp_path / "results" / f"{name}.csv").open()))
    assert [row["side"] for row in rows[:2]] == ["1", "3"]
    assert [float(row["contribution"]) for row in rows[:2]] == [0.11111, 1]
    assert float(rows[-1]["area_ratio"]) == 1
    assert {row["trained"] for row in rows} == {"no"}


@pytest.mark.slow
def test_other_weights_data_or_sizes_overwrite_no_figure(command, tmp_path):
    other = {name: 2 * value for name, value in Box(3).state_dict().items()}
    torch.save(other, tmp_path / "other.pth")
    trained = ("--data", str(tmp_path / "data"), "--size", "16", "--weights")
    for given in (
        (*trained, str(tmp_path / "weights.pth")),
        (*trained, str(tmp_path / "other.pth")),
        ("--weights", "none", "--size", "16"),
        ("--weights", "none", "--size", "16", "--seed", "1"),
        ("--weights", "none", "--size", "32"),
        ("--weights", "none", "--size", "32"),
    ):
        assert command("--models", "box_in_test", *given).exit_code == 0
    titles = [title for title, _ in written_figures(tmp_path / "results")]
    assert sorted(titles.count(title) for title in set(titles)) == [2, 3]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("--models", "formless_in_test", "--weights", "none", "--size", "16"), "forward_features"),
        (("--models", "box_in_test", "--weights", "official"), "needs --data DIR"),
        (("--models", "box_in_test", "--weights", "none", "--size", "16x8"), "square"),
        (("--models", "box_in_test,box_in_test?side", "--weights", "none"), "is not NAME=VALUE"),
        (("--models", "nothing_in_test", "--weights", "none"), "backbone"),
    ],
)
def test_what_cannot_be_measured_is_refused(command, tmp_path, given, reason):
    result = command(*given)
    assert result.exit_code != 0
    assert reason in str(result.exception) and "\n" not in str(result.exception)
    assert not (tmp_path / "results").exists()

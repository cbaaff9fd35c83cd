"""``mogabench analyze`` as a whole, on networks whose interactions are known."""

import csv
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from timm.models import register_model
from torch import nn
from typer.testing import CliRunner

from mogabench import catalogue
from mogabench.analysis.figures import written_figures
from mogabench.analysis.interaction.patches import PatchGame, log_odds, neighbours
from mogabench.cli import app
from mogabench.files import sha256
from mogabench.records import Kind, Store


class Power(nn.Module):
    """Log-odds of the first class that are a power of the sum of the pixels."""

    num_classes = 2
    pretrained_cfg = {"input_size": (3, 16, 16), "mean": (0.2,) * 3, "std": (0.1,) * 3}

    def __init__(self, power: int) -> None:
        super().__init__()
        self.power = power
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        score = (self.scale * x.double().mean(dim=(1, 2, 3))) ** self.power
        return torch.stack([score, torch.zeros_like(score)], dim=1)


@register_model
def square_in_test(pretrained=False, **_):
    return Power(2)


@register_model
def constant_in_test(pretrained=False, **_):
    return Power(0)


@pytest.fixture
def command(tmp_path, monkeypatch):
    # As if by --import: the names of this file are not kept in the cache folder.
    monkeypatch.setattr(catalogue, "_imported", {__name__: sys.modules[__name__]})
    catalogue.backbones.cache_clear()
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        folder = tmp_path / "data" / "val" / name
        folder.mkdir(parents=True)
        for number in range(3):
            pixels = generator.integers(100, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    torch.save(Power(2).state_dict(), tmp_path / "weights.pth")

    def run(models, *more):
        given = ["--models", models, "--weights", str(tmp_path / "weights.pth")]
        given += ["--data", str(tmp_path / "data"), "--size", "16", "--grid", "4"]
        given += ["--work-dir", str(tmp_path / "work"), "--results", str(tmp_path / "results")]
        return CliRunner().invoke(app, ["analyze", "interaction", *given, *more])

    yield run
    catalogue.backbones.cache_clear()


def test_a_quadratic_score_interacts_equally_at_all_orders(command, tmp_path):
    result = command("square_in_test", "--pairs", "2", "--contexts", "3", "--format", "json")
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    values = {name: value["value"] for name, value in record["values"].items()}
    strengths = [value for name, value in values.items() if name.startswith("strength")]
    assert strengths == pytest.approx([1.0] * len(strengths), abs=1e-3)
    # The second class is never predicted, so its images are tried and left out.
    assert (values["images"], values["images tried"], values["pairs"]) == (3, 6, 6)
    assert len(list(Store(tmp_path / "results").all(Kind.INTERACTION))) == 1


def test_the_network_computes_in_the_type_that_is_asked_for(command, monkeypatch):
    seen, forward = set(), Power.forward
    monkeypatch.setattr(Power, "forward", lambda self, x: (seen.add(x.dtype), forward(self, x))[1])
    given = ["square_in_test", "--pairs", "2", "--contexts", "3", "--format", "json", "--dtype"]
    (record,) = json.loads(command(*given, "bfloat16").stdout)
    assert record["provenance"]["dtype"] == "bfloat16"
    values = {name: value["value"] for name, value in record["values"].items()}
    strengths = [value for name, value in values.items() if name.startswith("strength")]
    # Rounded pixels are still those of a quadratic score.
    assert strengths == pytest.approx([1.0] * len(strengths), abs=1e-3)
    assert seen == {torch.bfloat16}
    assert "unknown dtype 'int8'" in str(command(*given, "int8").exception)


@pytest.mark.slow
def test_it_goes_on_where_it_was_stopped(command, tmp_path):
    given = ["square_in_test", "--pairs", "2", "--contexts", "3", "--format", "json"]
    whole = json.loads(command(*given).stdout)[0]["values"]
    (file,) = (tmp_path / "work").glob("square_in_test-*.jsonl")
    lines = file.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 6
    file.write_text("".join(lines[:3]) + lines[3][:20])
    assert json.loads(command(*given).stdout)[0]["values"] == whole
    assert file.read_text().splitlines(keepends=True) == lines
    file.write_text(lines[0][:20])
    assert json.loads(command(*given).stdout)[0]["values"] == whole
    refused = command("square_in_test", "--pairs", "2", "--contexts", "4", "--format", "json")
    assert "another measurement" in str(refused.exception)


def test_the_budget_takes_pairs_evenly_from_the_images(command):
    # The parts of 14 round to 11 orders; 0 and 14 have one context: 4 (2 + 9 x 3) passes.
    given = ["square_in_test", "--pairs", "9", "--contexts", "3", "--format", "json", "--budget"]
    values = json.loads(command(*given, "464").stdout)[0]["values"]
    assert (values["pairs"]["value"], values["images"]["value"]) == (4, 3)
    assert "two times the 116 forward passes" in str(command(*given, "231").exception)


def test_what_cannot_be_measured_is_refused(command):
    assert "no two patches interact" in str(command("constant_in_test").exception)
    assert "--weights is given 1 time(s)" in str(
        command("square_in_test,constant_in_test").exception
    )


def test_the_figure_and_its_numbers_are_written(command, tmp_path):
    assert command("square_in_test", "--pairs", "1", "--contexts", "2").exit_code == 0
    ((title, name),) = written_figures(tmp_path / "results")
    assert title.startswith("Figure 3's counterpart")
    rows = list(csv.DictReader((tmp_path / "results" / f"{name}.csv").open()))
    assert {row["network"] for row in rows} == {"square_in_test"}
    assert float(rows[0]["order"]) == 0 and float(rows[-1]["order"]) == 1
    with Image.open(tmp_path / "results" / f"{name}.png") as picture:
        assert picture.width > 500


def test_a_figure_is_of_its_own_images_and_shows_every_checkpoint(command, tmp_path):
    files = tmp_path / "weights.pth", tmp_path / "other.pth"
    torch.save({"scale": torch.tensor(2.0)}, files[1])
    given = ("square_in_test,square_in_test", "--weights", str(files[1]))
    for work in ("first", "second"):
        done = command(
            *given, "--pairs", "1", "--contexts", "2", "--work-dir", str(tmp_path / work)
        )
        assert done.exit_code == 0, done.output
        Image.new("RGB", (16, 16), "white").save(tmp_path / "data" / "val" / "a" / "more.png")
    written = [name for _, name in written_figures(tmp_path / "results")]
    assert len(written) == 2  # the second data set has the first one's name, and another digest
    for name in written:
        rows = list(csv.DictReader((tmp_path / "results" / f"{name}.csv").open()))
        assert {row["network"] for row in rows} == {
            f"square_in_test, weights {sha256(file)[:8]}" for file in files
        }


def test_hidden_patches_are_zero_and_the_score_is_the_log_odds():
    seen = []

    class Keep(nn.Module):
        def forward(self, x):
            seen.append(x)
            return torch.stack([x.sum(dim=(1, 2, 3)), torch.ones(len(x))], dim=1)

    image = torch.rand(3, 6, 4) + 1
    sets = torch.tensor([[True, False, False, True]])
    (score,) = PatchGame(Keep(), image, 0, grid=2, batch_size=8)(sets)
    kept = image.clone()
    kept[:, :3, 2:], kept[:, 3:, :2] = 0, 0
    assert torch.equal(seen[0][0], kept)
    # Of two classes, the log-odds are the difference of the logits.
    assert float(score) == pytest.approx(float(kept.sum()) - 1, rel=1e-5)


def test_log_odds_of_three_classes():
    p = torch.tensor([0.2, 0.3, 0.5])
    assert float(log_odds(p.log()[None], 1)) == pytest.approx(float(torch.tensor(0.3 / 0.7).log()))


def test_neighbours():
    generator = torch.Generator().manual_seed(0)
    pairs = neighbours(3, 100, 1, generator)
    assert len(set(pairs)) == len(pairs) == 20  # 12 beside each other, 8 across a corner
    assert (0, 4) in pairs and (2, 3) not in pairs
    assert len(set(neighbours(3, 100, 2, generator))) == 36  # any two of nine


def test_radius_seed_and_images_say_which_pairs_are_measured(command, tmp_path):
    drawn, given = [], ["square_in_test", "--pairs", "5", "--contexts", "1", "--images", "2"]
    for words in (["--seed", "0"], ["--seed", "5"], ["--seed", "5", "--radius", "3"]):
        work = tmp_path / f"work-{len(drawn)}"
        result = command(*given, *words, "--work-dir", str(work), "--format", "json")
        (record,) = json.loads(result.stdout)
        assert record["provenance"]["seed"] == int(words[1])
        (file,) = work.iterdir()
        drawn.append([json.loads(line)["of"] for line in file.read_text().splitlines()[1:]])
    assert all(len(of) == 10 and len({place for place, *_ in of}) == 2 for of in drawn)
    assert drawn[0] != drawn[1]
    apart = [
        max(max(abs(one % 4 - two % 4), abs(one // 4 - two // 4)) for _, one, two in of)
        for of in drawn
    ]
    assert apart == [1, 1, 3]

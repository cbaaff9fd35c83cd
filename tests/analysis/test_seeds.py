"""The seed of an analysis draws its images and, where there are no weights, these."""

import json

import pytest
import timm
import torch
from typer.testing import CliRunner

from mogabench.cli import app


@pytest.mark.parametrize("command", ["channels", "receptive-field"])
@pytest.mark.parametrize("trained", [False, True])
def test_another_seed_draws_others(command, trained, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("mogabench.analysis.figures.write_figure", lambda *_: None)
    monkeypatch.setattr("mogabench.analysis.channels.figure.figures", lambda *_: [])
    monkeypatch.setattr("mogabench.analysis.receptive_field.figure.figure", lambda *_: None)
    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), tmp_path / "w.pth")
    weights = [tmp_path / "w.pth", "--data", folder] if trained else ["none"]
    given = ["--models", "test_resnet", "--size", 32, "--images", 2, "--weights", *weights]
    values, images = [], []
    for seed in (0, 5, 5):
        words = ["analyze", command, *given, "--seed", seed, "--results", tmp_path / "results"]
        done = CliRunner().invoke(app, [*map(str, words), "--format", "json"])
        assert done.exit_code == 0, done.output
        (record,) = json.loads(done.stdout)
        assert record["provenance"]["seed"] == seed
        values.append(record["values"])
        images.append(record["provenance"]["data"]["digest"])
    assert values[0] != values[1] == values[2]
    assert (images[0] == images[1]) == trained  # noise is of the seed

"""``mogabench explain``, as a whole command on the packaged records."""

import json

import pytest
from typer.testing import CliRunner

from mogabench.cli import app
from mogabench.errors import UserError


def explained(*arguments, results):
    done = CliRunner().invoke(app, ["explain", *arguments, "--results", str(results)])
    if isinstance(done.exception, UserError):
        raise done.exception
    assert done.exit_code == 0
    return done.stdout


def test_a_cell_shows_all_counts_and_what_its_reason_comes_to(tmp_path):
    (cell,) = json.loads(explained("3", "FAN-B-Hybrid #1", "FLOPs (G)", "--json", results=tmp_path))
    # Facts of the audit: 11.77 G with attention's products, 11.27 G without; 11.3 is printed.
    assert cell["printed"] == "11.3 G" and "known reason" in cell["measured"]
    assert cell["by matmul"].startswith("11.77") and cell["by paper"].startswith("11.26")
    assert cell["which gives"] == "as mmcv 1.x counts: 11.267"
    assert "evidence" in cell and "torch" in cell["made by"]


def test_all_figures_of_a_row_within_80_columns(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = explained("A9", "MogaNet-S", results=tmp_path).splitlines()
    assert sum(line.startswith("cell ") for line in lines) == 8  # two costs and six accuracies
    assert max(map(len, lines)) <= 80
    assert any("--weights official" in line for line in lines)


def test_an_unknown_row_or_column_names_the_nearest_and_measures_nothing(tmp_path):
    with pytest.raises(UserError, match="unknown row of Table 3 'SLaK-Q'; did you mean SLaK-T"):
        explained("3", "SLaK-Q", results=tmp_path)
    with pytest.raises(UserError, match=r"unknown column 'Flops'; did you mean FLOPs \(G\)"):
        explained("3", "SLaK-T", "Flops", results=tmp_path)
    assert list(tmp_path.iterdir()) == []

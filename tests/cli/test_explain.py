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
    (cell,) = json.loads(
        explained("3", "FAN-B-Hybrid #1", "FLOPs (G)", "--format", "json", results=tmp_path)
    )
    # Facts of the audit: 11.77 G with attention's products, 11.27 G without; 11.3 is printed.
    assert cell["printed"] == "11.3 G" and "known reason" in cell["measured"]
    assert cell["by matmul"].startswith("11.77") and cell["by paper"].startswith("11.26")
    assert cell["derived"] == "as mmcv 1.x counts: 11.267"
    assert "evidence" in cell and "torch" in cell["made by"]


def test_what_does_not_account_for_a_difference_was_tried(tmp_path):
    shown = explained("3", "SLaK-T", "FLOPs (G)", "--format", "json", results=tmp_path)
    (cell,) = json.loads(shown)
    assert cell["measured"].endswith("unexplained") and cell["tried"] == "0.6 of it: 5.223"
    assert "derived" not in cell


def test_a_difference_is_made_by_two_records(tmp_path):
    row = "+CA(·), r = 4, over the baseline"
    shown = explained("1", row, "Added Param. (M)", "--format", "json", results=tmp_path)
    (cell,) = json.loads(shown)
    assert "mogabench" in cell["made by"] and "mogabench" in cell["baseline by"]


def test_all_figures_of_a_row(tmp_path):
    lines = explained("A9", "MogaNet-S", results=tmp_path).splitlines()
    assert sum(line.startswith("cell ") for line in lines) == 8  # two costs and six accuracies
    assert any("--weights official" in line for line in lines)


@pytest.mark.slow
def test_an_unknown_row_or_column_names_the_nearest_and_measures_nothing(tmp_path):
    with pytest.raises(UserError, match="unknown row of Table 3 'SLaK-Q'; did you mean SLaK-T"):
        explained("3", "SLaK-Q", results=tmp_path)
    with pytest.raises(UserError, match=r"unknown column 'FLOP/s \(G\)'; did you mean FLOPs"):
        explained("3", "SLaK-T", "FLOP/s (G)", results=tmp_path)
    with pytest.raises(UserError, match="'AP' fits several columns: Mask R-CNN"):
        explained("A9:MogaNet-S:AP", results=tmp_path)
    with pytest.raises(UserError, match="which row"):
        explained("3", results=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_one_argument_names_a_cell_by_how_its_column_begins(tmp_path):
    whole = explained("3", "MogaNet-S", "FLOPs (G)", results=tmp_path)
    assert explained("3:MogaNet-S:flops", results=tmp_path) == whole
    (box,) = json.loads(explained("A9:MogaNet-S:AP^b", "--format", "json", results=tmp_path))
    assert box["cell"].endswith("Mask R-CNN 1×: AP^b") and box["printed"] == "46.7 %"
    (cell,) = json.loads(
        explained("3:MogaNet-S:FLOPs", "--depth", "1", "--format", "json", results=tmp_path)
    )
    parts = [child["operations"]["paper"] for child in cell["tree"]["children"]]
    assert sum(parts) == cell["tree"]["operations"]["paper"] == pytest.approx(4.97e9, rel=1e-3)

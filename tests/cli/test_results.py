"""Where the commands write, and that the committed numbers are measured anew; in one process."""

import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mogabench.cli import app
from mogabench.cli.report import _index
from mogabench.measure import sweep
from mogabench.paper import get_paper
from mogabench.records import Kind, Quantity, Store, folders, packaged_results
from mogabench.tables.join import join

COMPARISON = Path(__file__).parents[1] / "compare_results.py"


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)


@pytest.fixture
def no_pictures(monkeypatch):
    """Reports of tables and numbers alone, which are a fraction of the work."""
    monkeypatch.setattr("mogabench.tables.plots.draw_scatter", lambda _: {})
    monkeypatch.setattr("mogabench.analysis.figures.write_figure", lambda *_: None)


def mogabench(*arguments):
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_measuring_a_table_again_writes_to_the_users_folder_and_only_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(packaged_results().parent)
    before = content(packaged_results())
    first = mogabench("table", "A5", "--fresh")
    own = content(tmp_path)
    assert set(own) == {tmp_path / "mogabench" / "records" / "complexity.jsonl"}
    measured = [record.subject.key for record in Store(tmp_path / "mogabench").all()]
    # The table's 8 rows, and 7 of them as the errata try them, with feature decomposition.
    assert 0 < len(measured) == len(set(measured)) <= 8 + 7
    second = mogabench("table", "A5", "--fresh")
    assert second.stdout == first.stdout
    assert content(tmp_path) == own and content(packaged_results()) == before


def test_a_folder_of_ones_own_shows_the_packaged_records(tmp_path):
    shown = mogabench("table", "A5", "--format", "csv", "--results", tmp_path / "own")
    committed = mogabench("table", "A5", "--format", "csv", "--results", packaged_results())
    assert shown.stdout == committed.stdout and not (tmp_path / "own").exists()


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A copy of the packaged records, and counting that finds again what is recorded there."""
    true = Store(packaged_results())
    copy = tmp_path / "packaged"
    shutil.copytree(packaged_results() / "records", copy / "records")

    def count(subject):
        record = true.latest(subject.key, Kind.COMPLEXITY)
        run = record.provenance.model_copy(update={"command": "again"})
        return record.model_copy(update={"provenance": run})

    monkeypatch.setattr(sweep, "measure_complexity", count)
    monkeypatch.setattr(folders, "packaged_results", lambda: copy)
    return copy


def differences(committed, fresh, monkeypatch, capsys):
    """The exit status of the comparison that ``nox -s tables`` makes, and what it prints."""
    mogabench("report", "--fresh", "--quiet", "--results", fresh)
    monkeypatch.setattr(sys, "argv", ["compare_results.py", str(committed), str(fresh)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(COMPARISON), run_name="__main__")
    return ended.value.code, capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("wrong_by", [0, 1, 1_000_000])
def test_a_wrong_committed_number_is_found_however_small(
    wrong_by, packaged, tmp_path, monkeypatch, capsys
):
    store = Store(packaged)
    record = store.latest("classification/classifier/moganet_tiny@224x224", Kind.COMPLEXITY)
    parameters = record.values["trainable_parameters"].value
    wrong = {"trainable_parameters": Quantity(value=parameters + wrong_by, unit="1")}
    store.append(record.model_copy(update={"values": record.values | wrong}))
    mogabench("report", "--quiet", "--results", packaged)  # the committed tables agree with it

    status, printed = differences(packaged, tmp_path / "fresh", monkeypatch, capsys)
    assert status == (1 if wrong_by else 0)
    line = (
        f"{record.subject.key}: trainable_parameters: "
        f"committed {parameters + wrong_by:.0f}, fresh {parameters:.0f}"
    )
    assert (line in printed) == bool(wrong_by)
    tables = [text for text in printed.splitlines() if text.startswith("--- committed")]
    assert bool(tables) == (wrong_by == 1_000_000)  # what the printed digits show


def test_the_readme_counts_as_the_results_do():
    index = (packaged_results() / "README.md").read_text()
    text = " ".join((packaged_results().parent / "README.md").read_text().split())
    for counted, stated in (
        (r"(\d+) round to", r"(\d+) cells round to"),
        (r"(\d+) within tolerance", r"(\d+) are within tolerance"),
        (r"(\d+) differ for", r"(\d+) differ for a reason"),
        (r"(\d+) unexplained", r"(\d+) are \[unexplained"),
        (r"(\d+) not measured", r"(\d+) accuracies and errors are not measured"),
        (r"(\d+) on another device", r"(\d+) throughputs"),
        (r"(\d+) trainings", r"(\d+) trainings"),
    ):
        assert re.search(stated, text)[1] == re.search(counted, index)[1], stated


def test_links_of_the_index_are_of_any_name(tmp_path):
    tables = [join(get_paper().table("A5"), Store(tmp_path))]
    lines = _index(tables, [("A <b>", "figure 1", "")], 0, ["my paper"]).splitlines()
    assert "Other papers: [my paper](papers/my%20paper/README.md)" in lines
    assert "![A &lt;b>](figure%201.png)" in lines
    assert "[SVG](figure%201.svg), [PDF](figure%201.pdf)" in lines


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_the_committed_reports_are_those_of_the_committed_records(tmp_path, monkeypatch):
    """Of each paper, byte by byte, but for pictures, which differ by the version of matplotlib."""
    copy = tmp_path / "results"
    shutil.copytree(packaged_results(), copy)
    monkeypatch.setattr(folders, "packaged_results", lambda: copy)
    papers = [folder.name for folder in (copy / "papers").iterdir()]
    pages = [copy, *(copy / "papers" / name for name in papers)]
    before = {
        path: path.read_bytes()
        for folder in pages
        for path in folder.iterdir()
        if path.suffix in (".md", ".html")
    }
    assert len(before) > 30
    for path in before:
        if path.name != "README.md":  # a report writes over its own index alone
            path.unlink()
    mogabench("report", "--results", copy, "--quiet")
    for name in papers:
        mogabench("report", "--paper", name, "--results", copy, "--quiet")
    after = content(copy)
    assert [path for path, data in before.items() if after.get(path) != data] == []

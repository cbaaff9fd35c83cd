"""``mogabench analyze ablation`` as a whole, and its statistics by hand."""

import csv
import json
import re

import pytest
from typer.testing import CliRunner

from mogabench.analysis.ablation.study import Line, compare
from mogabench.analysis.figures import written_figures
from mogabench.cli import app
from mogabench.paper import get_ablation, get_paper
from mogabench.records import Kind, Provenance, Quantity, Record, Store
from mogabench.subject import Subject

SMALL = ["--option", "dims=[8,8,8,8]", "--option", "depths=[1,1,1,1]", "--size", "32"]


@pytest.fixture
def command(tmp_path):
    def run(*arguments):
        return CliRunner().invoke(app, [*arguments, "--results", str(tmp_path / "results")])

    return run


def line(**accuracies):
    return Line("7/1", "MogaNet", 1.0, 1.0, None, {int(s[1:]): a for s, a in accuracies.items()})


def test_gains_are_of_equal_seeds():
    first, second = line(s1=90.0, s2=80.0, s3=70.0, s4=1.0), line(s1=91.0, s2=82.0, s3=73.0)
    # Differences 1, 2 and 3: their mean is 2, their deviation 1.
    assert second.gain_over(first) == pytest.approx((2.0, 3**-0.5))
    assert (first.mean, second.deviation) == (60.25, 9.0)
    assert line(s1=1.0).gain_over(first) is None and line().mean is None


def test_networks_that_differ_in_their_training_alone_keep_their_accuracies(tmp_path):
    """Table A6 trains one network with and without precise batch norm."""
    ablation, store = get_ablation(get_paper(), "A6"), Store(tmp_path)
    subject = Subject(
        task="classification", method="classifier", backbone="resnet18", input_size=(32, 32)
    )

    def trained(top1, seed):
        where = Provenance(command="test", device="cpu", seed=seed)
        values = {"top1": Quantity(value=top1, unit="%")}
        return Record(subject=subject, kind=Kind.QUALITY, values=values, provenance=where)

    count = len(ablation.variants)
    given = [[trained(10.0 * place + seed, seed) for seed in (1, 2)] for place in range(count)]
    lines = compare(ablation, [subject] * count, given, store, quiet=True)
    assert [dict(line.accuracies) for line in lines] == [
        {1: 10.0 * place + 1, 2: 10.0 * place + 2} for place in range(count)
    ]


def test_tables_chain_counts_as_the_authors_network_does(command, tmp_path):
    """Table 1's steps on MogaNet-T, by the released code: parameters in M, operations in G."""
    result = command("analyze", "ablation", "1", "--variant", "t", "--format", "json")
    assert result.exit_code == 0, result.output
    found = [(r["parameters"] / 1e6, r["operations"] / 1e9) for r in json.loads(result.stdout)]
    assert [(round(m, 3), round(g, 3)) for m, g in found] == [
        (4.747, 1.006),
        (5.093, 1.071),
        (5.149, 1.090),
        (5.174, 1.098),
        (5.176, 1.098),
        (5.197, 1.103),
    ]
    ((title, name),) = written_figures(tmp_path / "results")
    assert "Modules added one by one" in title and "moganet_tiny at 224x224" in title
    rows = list(csv.DictReader((tmp_path / "results" / f"{name}.csv").open()))
    assert [row["top1"] for row in rows] == [""] * 6


@pytest.mark.slow
def test_an_ablation_at_another_size_overwrites_no_figure(command, tmp_path):
    for size in ("32", "64", "64"):  # the same takes the place of the former
        given = ("--variant", "xt", *SMALL, "--size", size)
        assert command("analyze", "ablation", "7", *given).exit_code == 0
    assert len(written_figures(tmp_path / "results")) == 2


def test_settings_of_a_training_need_data(command):
    error = str(command("analyze", "ablation", "7", "--set", "batch_size=8").exception)
    assert "add --data" in error
    assert "unknown ablation 'A8'" in str(command("analyze", "ablation", "A8").exception)
    seeded = ("analyze", "ablation", "7", "--data", "sample", "--set", "seed=7")
    assert "leave out --set seed=N" in str(command(*seeded).exception)


@pytest.mark.parametrize("given", [["--data", "sample"], ["--data", "d", "--recipe", "in1k_300e"]])
def test_rows_that_differ_in_what_is_given_for_all_are_not_one_training(command, given):
    """Table A7's differ in their recipe alone, which the sample or the user decides."""
    refused = str(command("analyze", "ablation", "A7", *given).exception)
    assert re.match(r"A7/\d and A7/\d are one training here: they differ in the recipe,", refused)


@pytest.mark.parametrize("option", ["--variant", "--backbone"])
def test_rows_of_several_networks_stay_those(command, option):
    refused = str(command("analyze", "ablation", "A6", option, "moganet_xtiny").exception)
    assert refused.startswith("A6 compares several networks, which its rows name: leave out --v")


@pytest.mark.slow
def test_an_ablation_of_several_networks_names_them(command, tmp_path):
    result = command("analyze", "ablation", "A6", *SMALL)
    assert result.exit_code == 0, result.output
    ((title, _),) = written_figures(tmp_path / "results")
    assert "; moganet_tiny, moganet_small, moganet_base at 32x32 with" in title


@pytest.mark.slow
def test_each_network_is_trained_once_for_each_seed(command, folder, tmp_path):
    training = ["--data", str(folder), "--recipe", "sample_digits", "--set", "schedule.epochs=1"]
    training += ["--set", "schedule.warmup_epochs=0", "--set", "batch_size=16", "--seeds", "2"]
    given = ["analyze", "ablation", "7", "--variant", "xt", *SMALL, *training]
    given += ["--work-dir", str(tmp_path / "work")]
    result = command(*given)
    assert result.exit_code == 0, result.output
    assert "−Gating branch" in result.stdout
    records = list(Store(tmp_path / "results").all(Kind.QUALITY))
    assert len({(r.subject.key, r.provenance.seed) for r in records}) == len(records) == 5 * 2
    ((_, name),) = written_figures(tmp_path / "results")
    rows = list(csv.DictReader((tmp_path / "results" / f"{name}.csv").open()))
    stored = sorted(record.values["top1"].value for record in records)
    assert sorted(float(row["top1"]) for row in rows) == stored
    assert command(*given).stdout == result.stdout
    file = tmp_path / "results" / "records" / "quality.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    assert len(lines) == 10
    file.write_text("".join(lines[:-1]))  # as though killed between checkpoint and record
    again = command(*given)
    assert again.exit_code == 0, again.output
    assert again.stdout == result.stdout


@pytest.mark.slow
def test_run_takes_a_network_by_its_name(command):
    result = command("run", "classification", "--ablation", "A5/4", "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["subject"] == (
        'classification/classifier/moganet_tiny@224x224?channel_aggregation="none"'
        '&depthwise="dw5+dw5d2+dw7d3"&feature_decomposition=false'
    )


def test_other_authors_training_is_no_recipe(command, folder):
    given = ["run", "classification", "--ablation", "A7/1", "--data", str(folder), "--train"]
    assert "give one with --recipe" in str(command(*given).exception)


@pytest.mark.slow
def test_an_ablations_settings_are_part_of_its_training(command, folder):
    """Precise batch norm, here over the 48 images of the folder."""
    given = ["run", "classification", "--ablation", "A6/4", *SMALL, "--data", str(folder)]
    given += [
        "--train",
        "--recipe",
        "sample_digits",
        "--set",
        "schedule.epochs=1",
        "--format",
        "json",
    ]
    given += ["--set", "schedule.warmup_epochs=0", "--set", "batch_size=16", "--workers", "0"]
    given += ["--work-dir", str(folder / "work")]
    result = command(*given)
    assert result.exit_code == 0, result.output
    changes = json.loads(result.stdout)["quality"]["provenance"]["recipe_changes"]
    assert changes["precise_bn"] == 8192

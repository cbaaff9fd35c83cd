"""``mogabench show`` as a whole command."""

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mogabench
from mogabench.cli import app
from mogabench.records import Kind, Store, open_store


def show(*arguments):
    done = CliRunner().invoke(app, ["show", *map(str, arguments)])
    assert done.exit_code == 0, done.exception
    return done.stdout


def test_a_table_says_what_it_is_of():
    (file,) = Path(mogabench.__file__).parent.glob("papers/moganet/table_3_*.csv")
    rows = len(list(csv.reader(file.open(encoding="utf-8")))) - 1
    lines = dict(line.split(maxsplit=1) for line in show("3").splitlines() if line)
    assert lines["rows"] == str(rows) and lines["table"].startswith("3: ImageNet")
    assert show("a15").startswith("table        A15:")


def test_a_network_says_where_it_is_and_what_it_costs():
    text = show("t")
    assert text == show("moganet_tiny")
    assert "in1k_300e" in text and "parameters 5.197 M" in text
    tables = next(line for line in text.splitlines() if line.startswith("tables"))
    assert tables.split(maxsplit=1)[1].startswith("2: MogaNet-T, MogaNet-T§; 4: MogaNet-T; 6: ")


def test_the_beginning_of_an_id_shows_all_that_a_record_holds():
    record = next(open_store(None).all(Kind.THROUGHPUT))
    text = show(record.id[:8])
    assert f"{record.id}, throughput" in text and record.subject.key in text
    assert record.provenance.command.split()[0] in text
    assert f"{record.values['throughput'].value:.10g} img/s" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["moganet_tinny"], "unknown table, network, recipe or record 'moganet_tinny'; did you"),
        (["abcdefabcdef"], "unknown table, network, recipe or record 'abcdefabcdef'"),
        (["resnet18", "--set", "seed=1"], "only a recipe takes --variant and --set"),
    ],
)
def test_what_is_not_known_is_one_line(arguments, says, tmp_path):
    done = CliRunner().invoke(app, ["show", *arguments, "--results", str(tmp_path)])
    assert says in str(done.exception) and not list(Store(tmp_path).all())

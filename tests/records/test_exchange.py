"""``mogabench records``: gathering, comparing and checking, as whole commands."""

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from mogabench.cli import app
from mogabench.errors import UserError
from mogabench.records import Data, Kind, Provenance, Quantity, Record, Store
from mogabench.subject import Subject
from tests.counted import counted

DAY = datetime(2026, 1, 1, tzinfo=UTC)
DATA = Data(name="folder:a", split="val", samples=4, digest="1" * 64)

_FIGURES = {
    Kind.QUALITY: ("top1",),
    Kind.THROUGHPUT: ("throughput",),
    Kind.COMPLEXITY: tuple(counted()),
}


def record(value, backbone="resnet18", kind=Kind.QUALITY, *, day=0, **where):
    given = {"command": "test", "device": "cpu", "weights": "2" * 64, "data": DATA} | where
    return Record(
        subject=Subject(
            task="classification", method="classifier", backbone=backbone, input_size=(32, 32)
        ),
        kind=kind,
        values={name: Quantity(value=value, unit="%") for name in _FIGURES[kind]},
        provenance=Provenance(started=DAY + timedelta(days=day), **given),
    )


def folder(path, *records):
    store = Store(path)
    for item in records:
        assert store.append(item)
    return path


def run(*arguments, status=0):
    done = CliRunner().invoke(app, ["records", *map(str, arguments)])
    assert done.exit_code == status, done.output or done.exception
    return done.stdout


def refusal(*arguments):
    done = CliRunner().invoke(app, ["records", *map(str, arguments)])
    assert isinstance(done.exception, UserError), done.output
    return str(done.exception)


def test_merging_adds_each_record_once_however_often_it_is_done(tmp_path):
    same = record(50.0)
    one = folder(tmp_path / "one", same, record(60.0, "resnet34"))
    other = folder(tmp_path / "other", same, record(70.0, "resnet50"))
    mine = ("--results", tmp_path / "mine")
    assert "3 added" in run("merge", one, other, *mine)
    before = (tmp_path / "mine/records/quality.jsonl").read_bytes()
    assert "0 added" in run("merge", other, one, *mine)
    assert (tmp_path / "mine/records/quality.jsonl").read_bytes() == before
    values = [item.values["top1"].value for item in Store(tmp_path / "mine").all()]
    assert sorted(values) == [50.0, 60.0, 70.0]


def test_a_record_that_a_folder_has_twice_is_added_once(tmp_path):
    """Also where a newer one is there, which the second copy does not repeat."""
    theirs = folder(tmp_path / "theirs", record(50.0, day=1))
    file = theirs / "records" / "quality.jsonl"
    line = file.read_bytes()
    file.write_bytes(line + line)
    mine = folder(tmp_path / "mine", record(60.0, day=2))
    assert "0 in both" in run("diff", mine, theirs, status=1)
    assert "1 added" in run("merge", theirs, "--results", mine)
    assert (mine / "records" / "quality.jsonl").read_bytes().count(line) == 1


def test_an_older_record_that_is_merged_later_is_not_the_newest(tmp_path):
    old = folder(tmp_path / "old", record(40.0, day=1, seed=1))
    mine = folder(tmp_path / "mine", record(50.0, day=2, seed=2))
    run("merge", old, "--results", mine)
    newest = Store(mine).latest(record(0.0).subject.key, Kind.QUALITY)
    assert newest.values["top1"].value == 50.0


def test_conflicts_are_of_what_must_be_equal_only(tmp_path):
    counted = {"kind": Kind.COMPLEXITY, "code": {"moganet": "1"}}
    mine = folder(
        tmp_path / "mine",
        record(50.0),
        record(9.0, kind=Kind.THROUGHPUT),
        record(1e6, **counted),
    )
    theirs = folder(
        tmp_path / "theirs",
        record(50.5),
        record(51.0, weights="3" * 64),
        record(8.0, kind=Kind.THROUGHPUT),
        record(50.01, threads=2),
        *(record(52.0, **how) for how in ({"compiled": True}, {"channels_last": True})),
        *(record(53.0, recipe_changes={"input.crop_ratio": ratio}) for ratio in (0.9, 1.0)),
        record(54.0, recipe="in1k_300e"),
        record(1e6 + 1, **counted),
    )
    text = run("diff", mine, theirs, status=1)
    assert text.count("conflict: ") == 2
    assert "top1 50 and 50.5" in text and "parameters 1000000 and 1000001" in text
    assert "3 only in" in text and "10 only in" in text
    assert "10 added" in run("merge", theirs, "--results", mine)
    assert "0 only in" in run("diff", theirs, theirs)


def test_a_check_finds_unreadable_torn_and_repeated_lines(tmp_path):
    good = folder(tmp_path / "good", record(50.0), record(51.0, "resnet34"))
    assert run("check", good) == "2 records, all readable\n"
    file = good / "records" / "quality.jsonl"
    first = file.read_text().splitlines()[0]
    file.write_text(file.read_text() + "{}\n" + first + "\n")
    (good / "records" / "quality.torn").write_text("{")
    lines = run("check", good, status=1).splitlines()
    assert [bool(lines[0].startswith(f"{file}:3")), "2 times" in lines[2]] == [True, True]
    assert "quality.torn" in lines[1] and len(lines) == 3
    for undone, *command in (
        ("merged", "merge", good, "--results", tmp_path / "x"),
        ("compared", "diff", good, good),
    ):
        says = refusal(*command)
        assert says.startswith(f"nothing was {undone}, as {good} cannot be read whole: {file}:3 ")
        assert "records check" in says and not (tmp_path / "x").exists()


@pytest.mark.parametrize("command", ["merge {}", "check {}", "diff {} {good}", "diff {good} {}"])
def test_a_folder_without_records_is_refused(command, tmp_path):
    places = command.format(tmp_path / "nothing", good=folder(tmp_path / "good", record(50.0)))
    assert "holds no records" in refusal(*places.split())

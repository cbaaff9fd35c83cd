"""Entries of cells: their fields, and the same in every file that holds them."""

import csv
import io
import json
import sys

import pytest

from mogabench.errors import UserError
from mogabench.records import Kind
from mogabench.tables.rendering.entries import (
    FIELDS,
    json_entries,
    render_csv,
    render_json,
    render_parquet,
    to_frame,
)


def entry(tables, table, row, column):
    found = [
        e for e in json_entries(tables)
        if (e["table"], e["row"], e["column"]) == (table, row, column)
    ]  # fmt: skip
    return found[0]


def test_an_entry_says_what_how_why_and_by_which_record(tables, store):
    sparse = entry(tables, "3", "SLaK-T", "Param. (M)")
    assert (sparse["paper_name"], sparse["table"]) == ("moganet", "3")
    assert (sparse["task"], sparse["method"], sparse["backbone"]) == (
        *("classification", "classifier", "slak_tiny"),
    )
    assert (sparse["size"], sparse["unit"], sparse["printed"]) == ("224x224", "M", "30")
    assert sparse["difference"] == pytest.approx(50.70 / 30 - 1, abs=1e-3)
    assert sparse["status"] == "known_reason" and sparse["account"] == "0.6 of it: 30.42"
    assert sparse["source"] == "VITA-Group/SLaK, README.md" and "SLaK" not in sparse["reason"]
    record = next(r for r in store.all(Kind.COMPLEXITY) if r.id == sparse["record"])
    assert record.values["trainable_parameters"].value == pytest.approx(1e6 * sparse["measured"])
    assert sparse["command"] == record.provenance.command

    operations = entry(tables, "3", "MogaNet-S", "FLOPs (G)")
    assert operations["convention"] == "paper" and operations["evidence"]
    missing = entry(tables, "3", "MogaNet-S", "Top-1 Acc (%)")
    assert (missing["measured"], missing["record"]) == (None, None)
    assert missing["command"].startswith("mogabench run classification --variant s")
    added = entry(tables, "1", "+CA(·), r = 4, over the baseline", "Added Param. (M)")
    assert len(added["record"].split()) == 2  # a difference of two networks


def test_every_file_holds_the_same_entries(tables):
    entries = json_entries(tables)
    assert json.loads(render_json(tables)) == entries
    lines = list(csv.DictReader(io.StringIO(render_csv(tables))))
    texts = [{k: "" if v is None else str(v) for k, v in e.items()} for e in entries]
    assert lines == texts


def test_a_frame_and_a_parquet_file_hold_numbers(tables):
    pd = pytest.importorskip("pandas", reason="needs pip install -e '.[frames]'")
    pytest.importorskip("pyarrow", reason="needs pip install -e '.[frames]'")
    entries, frame = json_entries(tables), to_frame(tables)
    read = pd.read_parquet(io.BytesIO(render_parquet(tables)))
    for found in (frame, read):
        assert tuple(found.columns) == FIELDS and len(found) == len(entries)
        means = found.groupby("status")["difference"].mean()
        expected = [e["difference"] for e in entries if e["status"] == "unexplained"]
        assert means["unexplained"] == pytest.approx(sum(expected) / len(expected))
        assert found["measured"].isna().sum() == sum(e["measured"] is None for e in entries)


@pytest.mark.parametrize(("package", "make"), [("pandas", to_frame), ("pyarrow", render_parquet)])
def test_without_the_extra_a_line_says_what_to_install(package, make, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=r"pip install 'mogabench\[frames\]'"):
        make([])

"""Which network is counted and timed beside a training or an evaluation of it."""

from types import SimpleNamespace

import pytest

from mogabench.records import Data, Store
from mogabench.tables import row
from mogabench.tasks import get_task, make_subject

SMALL = {"hidden_dim": 112}


@pytest.mark.parametrize(
    ("data", "options", "built"),
    [
        ("video sample", SMALL, SMALL),
        ("video moving-mnist", SMALL, SMALL),
        ("video moving-mnist", {}, {}),
        ("classification folder:pets", {"num_classes": 3}, {"num_classes": 3}),
        ("classification imagenet-1k", {"num_classes": 1000}, {}),
    ],
)
def test_what_was_built_is_counted_and_timed(monkeypatch, tmp_path, data, options, built):
    task, name = data.split()
    owner = get_task(task)
    subject = make_subject(owner, {"video": "moganet"}.get(task, "resnet18"))
    outcome = SimpleNamespace(
        options=options,
        data=Data(name=name, split="val", samples=3, digest="0"),
        metrics={},
        by_class={},
    )
    measured = {}
    monkeypatch.setattr(row, "run", lambda *_: outcome)
    monkeypatch.setattr(row, "count", lambda these, *_: measured.update(count=these[0]) or [1])
    monkeypatch.setattr(row, "time_briefly", lambda subject, *_: measured.update(time=subject))
    job = SimpleNamespace()
    row.measure_row(owner, subject, job, Store(tmp_path), timed_on="cpu", packages=())
    assert [dict(one.options) for one in (measured["count"], measured["time"])] == [built, built]

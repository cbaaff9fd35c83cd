import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mogabench.files import sha256
from mogabench.measure.trainings import data_of, earlier
from mogabench.records import Kind, Quantity, Record, Store, Training, provenance

FILE = str(Path(__file__).parents[2] / "benchmarks" / "video_order.py")
SCRIPT = runpy.run_path(FILE)


def test_a_folder_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    arguments = ["--data", "/no/such/folder", "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["video_order.py", *arguments])
    with pytest.raises(SystemExit, match=r"video_order\.py: there is no folder /no/such"):
        runpy.run_path(FILE, run_name="__main__")


def test_a_training_with_a_record_is_not_done_again(tmp_path):
    make, store = SCRIPT["_job"], Store(tmp_path / "results")
    job = make("convmixer", 43, "sample", tmp_path / "work")
    assert job.subject.input_size == (10, 1, 32, 32)
    data = data_of(job)
    trained, evaluated = data
    assert (evaluated.name, evaluated.split) == ("sample-moving-digits", "test")
    assert earlier(job, data, store) is None
    done = Record(
        subject=job.subject,
        kind=Kind.QUALITY,
        values={"mse": Quantity(value=20.0, unit="1")},
        provenance=provenance(
            device="a CPU",
            recipe_digest=job.recipe.digest,
            data=evaluated,
            training=Training(data=trained, epochs=3, steps=1500, batch_size=4),
        ),
    )
    store.append(done)
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"")
    # Newer, and no training, or one in another arithmetic or from other weights.
    for how in ({"training": None}, {"amp": "bfloat16"}, {"initial_weights": sha256(weights)}):
        where = done.provenance.model_copy(update=how)
        store.append(done.model_copy(update={"provenance": where}))
    assert earlier(job, data, store) == done
    begun = earlier(replace(job, weights=weights), data, store)
    assert begun.provenance.initial_weights == sha256(weights)
    changed = [part.model_copy(update={"digest": "0"}) for part in data]
    assert earlier(job, (changed[0], evaluated), store) is None
    assert earlier(job, (trained, changed[1]), store) is None
    for translator, seed in (("convmixer", 44), ("vit", 43)):
        assert earlier(make(translator, seed, "sample", tmp_path / "work"), data, store) is None

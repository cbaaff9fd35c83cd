import runpy
from pathlib import Path

from mogabench.measure.trainings import data_of, earlier
from mogabench.records import Kind, Quantity, Record, Store, provenance

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "video_order.py"))


def test_a_training_with_a_record_is_not_done_again(tmp_path):
    make, store = SCRIPT["_job"], Store(tmp_path / "results")
    job = make("convmixer", 43, "sample", tmp_path / "work")
    assert job.subject.input_size == (10, 1, 32, 32)
    data = data_of(job)
    assert data.name == "sample-moving-digits"
    assert earlier(job, data, store) is None
    done = Record(
        subject=job.subject,
        kind=Kind.QUALITY,
        values={"mse": Quantity(value=20.0, unit="1")},
        provenance=provenance(
            device="a CPU",
            recipe_digest=job.recipe.digest,
            data=data,
        ),
    )
    store.append(done)
    assert earlier(job, data, store) == done
    other = data.model_copy(update={"digest": "0"})
    assert earlier(job, other, store) is None
    for translator, seed in (("convmixer", 44), ("vit", 43)):
        assert earlier(make(translator, seed, "sample", tmp_path / "work"), data, store) is None

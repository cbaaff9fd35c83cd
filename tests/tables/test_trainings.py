import pytest

from mogabench.engine.record import quality_record
from mogabench.engine.run import run
from mogabench.records import Data, Kind, Quantity, Record, Store, Training, provenance
from mogabench.subject import Subject
from mogabench.tables.trainings import folder_of, keep, render_trainings, trainings
from mogabench.tasks import get_task
from mogabench.tasks.classification import TASK

DIGITS = Data(name="moving-fashion-mnist", split="train", samples=60_000, digest="0")


def record(recipe, mse, epochs=20, recipe_changes=None, **changes):
    """An invented training of SimVP."""
    training = Training(data=DIGITS, epochs=epochs, steps=625 * epochs, batch_size=16)
    return Record(
        subject=Subject(
            task="video", method="simvp", backbone="moganet", input_size=(10, 1, 64, 64)
        ),
        kind=Kind.QUALITY,
        values={"mse": Quantity(value=mse, unit="1")},
        provenance=provenance(
            device="a GPU",
            weights="c" * 64,
            recipe=recipe,
            recipe_digest=f"{recipe} {recipe_changes}",
            recipe_changes=recipe_changes,
            **({"training": training} | changes),
        ),
    )


def test_a_training_has_its_length_curve_and_data(job, tmp_path):
    wanted = job()
    done = quality_record(get_task("classification"), wanted, run(wanted, TASK))
    keep(done, wanted.work_dir, tmp_path)
    page = render_trainings([done], tmp_path)
    assert "## classification: test_convnext by sample_digits, 32x32" in page
    assert (
        "- the recipe is changed: batch_size=16, schedule.epochs=2, schedule.warmup_epochs=0"
        in page
    )
    assert "trained for 2 epoch(s): 6 steps of 16, on 48 train samples of folder:colours" in page
    assert f"Top-1 {done.values['top1'].value:.2f} %, " in page
    assert "12 val samples of folder:colours" in page
    assert f"![curve]({folder_of(done)}/curve.png)" in page
    for name in ("curve.png", "curve.jsonl"):
        kept = tmp_path / folder_of(done) / name
        assert kept.read_bytes() == (wanted.work_dir / name).read_bytes()
    assert "![predictions]" not in page  # classification draws none


def test_the_newest_of_each_training_and_no_evaluation(tmp_path):
    store = Store(tmp_path)
    short, again = (
        record("mmnist_200e", mse, recipe_changes={"schedule.epochs": 20}) for mse in (41.0, 39.0)
    )
    for one in (short, record("mmnist_200e", 25.0, epochs=200), again):
        store.append(one)
    store.append(record(None, 10.0, training=None))
    assert [r.values["mse"].value for r in trainings(Store(tmp_path))] == [39.0, 25.0]


@pytest.mark.parametrize("changes", [None, {"schedule.epochs": 20}])
def test_the_papers_figure_stands_beside_it(changes, tmp_path):
    page = render_trainings([record("mmnist_200e", 39.0, recipe_changes=changes)], tmp_path)
    assert ("the recipe is changed: schedule.epochs=20" in page) == bool(changes)
    assert "MSE 39 on unnamed data" in page
    assert "20 epoch(s): 12500 steps of 16, on 60000 train samples of moving-fash" in page
    assert "Table A14 prints mse 25.57, mae 75.19, ssim 0.9429: Moving MNIST, 200 epochs" in page


def test_a_recipe_of_ones_own_has_no_printed_figure(tmp_path):
    assert "for comparison" not in render_trainings([record("mine", 39.0)], tmp_path)

"""What becomes of images that cannot be read, in training and in evaluation."""

import pytest

from mogabench.data.images import ImageError
from mogabench.engine import loading
from mogabench.engine.loading import evaluation_loader, training_loader
from mogabench.engine.run import run
from mogabench.engine.task import Source
from mogabench.errors import UserError
from mogabench.records import Data
from mogabench.tasks.classification import TASK


class Numbers:
    """The numbers from 0; some cannot be read."""

    def __init__(self, bad):
        self.bad = bad

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if index in self.bad:
            raise ImageError(f"{index}.png", "it is empty")
        return index


def source(*bad):
    return Source(Numbers(bad), Data(name="numbers", split="val", samples=12, digest=""))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_evaluation_leaves_them_out(job, workers):
    loader = evaluation_loader(job(workers=workers), source(1, 4, 5, 6, 7), 4)
    assert [batch.tolist() for batch in loader] == [[0, 2, 3], [8, 9, 10, 11]]
    assert loader.left_out == {1, 4, 5, 6, 7}


def test_an_image_that_is_readable_again_is_evaluated(job):
    items = source(1)
    loader = evaluation_loader(job(), items, 4)
    unread = loader.left_out
    list(loader)
    items.items.bad = ()
    assert sum(len(batch) for batch in loader) == 12
    assert not unread


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_replaces_them_by_the_same_others_each_time(job, workers):
    epochs = []
    for wanted in (job(), job(workers=workers)):
        loader = training_loader(wanted, source(1, 4), 4)
        epochs.append([batch.tolist() for batch in loader])
    drawn = [number for batch in epochs[0] for number in batch]
    assert epochs[0] == epochs[1]
    assert len(drawn) == 12
    assert set(drawn) == set(range(12)) - {1, 4}


def test_all_of_them_are_an_error(job):
    bad = source(*range(12))
    for loader, message in (
        (evaluation_loader(job(), bad, 4), "all val images of numbers cannot be read, such as 0"),
        (training_loader(job(), bad, 4), "most val images of numbers cannot be read, such as"),
    ):
        with pytest.raises(UserError, match=rf"^{message}.*\.png: it is empty$"):
            list(loader)
    for loader in (evaluation_loader, training_loader):
        with pytest.raises(ImageError):
            list(loader(job(on_bad_image="fail"), source(3), 4))


def test_a_process_may_find_none_where_another_finds_some(job, monkeypatch):
    loader = evaluation_loader(job(), source(*range(12)), 4)
    monkeypatch.setattr(loading, "gather", lambda is_empty: [is_empty, False])
    assert list(loader) == []
    assert loader.left_out == set(range(12))


def test_truncated_images_are_filled_on_request(job, folder):
    truncated, empty = folder / "val" / "red" / "0.png", folder / "val" / "blue" / "1.png"
    truncated.write_bytes(truncated.read_bytes()[:3000])
    empty.write_bytes(b"")
    notes = run(job("schedule.epochs=1", on_bad_image="fill"), TASK).notes
    assert notes == [
        f"1 val image(s) cannot be read: {empty}",
        f"1 val image(s) were truncated and filled: {truncated}",
    ]

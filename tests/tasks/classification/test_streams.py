"""Training and evaluation on timm's streams, of shards as webdataset reads them."""

import io
import json
import tarfile
from dataclasses import replace

import pytest
import torch

from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.tasks.classification import TASK
from mogabench.tasks.classification.data import open_splits
from tests.engine.ranks import run_on

pytest.importorskip("webdataset", reason="needs pip install -e '.[dev]'")


@pytest.fixture
def shards(folder, tmp_path):
    """The folder's images but one in uneven shards, five to train on and three to evaluate.

    Half of them are called PNG, the others JPEG.
    """
    place, splits = tmp_path / "shards", {}
    place.mkdir()
    for split, name, count in (("train", "train", 5), ("val", "validation", 3)):
        images = list(enumerate(sorted(folder.glob(f"{split}/*/*.png"))))[1:]
        files = [f"{name}-{shard}.tar" for shard in range(count)]
        for shard, file in enumerate(files):
            with tarfile.open(place / file, "w") as archive:
                for number, image in images[shard::count]:
                    label = sorted(["blue", "green", "red"]).index(image.parent.name)
                    add(archive, f"{number:03}.{('png', 'JPEG')[number % 2]}", image.read_bytes())
                    add(archive, f"{number:03}.cls", str(label).encode())
        lengths = [len(images[shard::count]) for shard in range(count)]
        splits[name] = {"name": name, "filenames": files, "shard_lengths": lengths}
        splits[name]["num_samples"] = len(images)
    (place / "info.json").write_text(json.dumps({"splits": splits}))
    return f"wds/{place}"


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def test_what_a_stream_is_called_does_not_depend_on_the_batch(job, shards):
    one, other = (open_splits(job(data=shards, batch_size=size)) for size in (None, 4))
    assert [split.identity for split in one] == [split.identity for split in other]
    assert [split.identity.samples for split in one] == [47, 11]


def test_a_class_map_names_the_numbers_of_a_stream(job, shards, tmp_path):
    names = tmp_path / "classes.txt"
    names.write_text("red\ngreen\nblue\n")
    _, test = open_splits(job(data=shards, options=TASK.Options(class_map=names)))
    assert test.classes == ("red", "green", "blue")
    _, plain = open_splits(job(data=shards))
    assert [label for _, label in test.source] == [label for _, label in plain.source]
    assert test.identity.digest != plain.identity.digest  # or a training may go on with other names


def of_three_classes(wanted):
    options = {"options": (("num_classes", 3),)}
    return replace(wanted, subject=wanted.subject.model_copy(update=options))


def test_a_stream_repeats_no_image(job, shards):
    """The record would state the copies all the same."""
    with pytest.raises(UserError, match=r"^augment\.repeated=3: a stream gives each image once;"):
        run(of_three_classes(job("augment.repeated=3", data=shards)), TASK)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("classes", ["option", "map"])
def test_labels_beyond_the_classes_are_refused(job, shards, tmp_path, classes, train):
    """A training ended in PyTorch's own error, and an evaluation counted them as wrong."""
    wanted = job(data=shards, train=train, weights=tmp_path / "w.pth")
    subject = wanted.subject.model_copy(update={"options": (("num_classes", 2),)})
    torch.save(TASK.build(subject).state_dict(), wanted.weights)
    if classes == "option":
        wanted = replace(wanted, subject=subject)
    else:
        (tmp_path / "classes.txt").write_text("blue\ngreen\n")
        options = TASK.Options(class_map=tmp_path / "classes.txt")
        wanted = replace(wanted, options=options)
    says = "^the data has a label 2, the network 2 classes, from 0 to 1: --option num_classes, or"
    with pytest.raises(UserError, match=says):
        run(wanted, TASK)


@pytest.mark.parametrize(("lost", "read"), [("validation-1", 7), ("validation-*", 0)])
def test_what_is_left_of_a_stream_is_not_taken_for_the_whole(job, shards, tmp_path, lost, read):
    for file in (tmp_path / "shards").glob(f"{lost}.tar"):
        file.unlink()
    wanted = of_three_classes(job(data=shards, train=False, weights=tmp_path / "w.pth"))
    torch.save(TASK.build(wanted.subject).state_dict(), wanted.weights)
    with pytest.raises(UserError, match=f"^only {read} of the 11 images to evaluate could be read"):
        run(wanted, TASK)


@pytest.mark.slow
def test_a_worker_without_a_shard_is_named_as_a_reason(job, shards):
    says = r"ended after \d steps instead of \d: .*, or it has fewer shards than --workers times"
    with pytest.raises(UserError, match=says):
        run(of_three_classes(job(data=shards, workers=6)), TASK)


@pytest.mark.slow
def test_a_stream_is_resumed_where_its_epochs_are_as_long(job, shards):
    """47 samples are three steps of 16 by one worker, and four by four of at least 12 each."""
    wanted = of_three_classes(job(data=shards, workers=1))
    first = run(wanted, TASK)
    with pytest.raises(UserError, match=r"number of steps in an epoch was 3, not 4; .* --workers"):
        run(replace(wanted, workers=4, resume=True), TASK)
    assert run(replace(wanted, resume=True), TASK).metrics == first.metrics


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "workers"), [(2, 1), (3, 4)])
def test_processes_evaluate_each_sample_of_a_stream_once(job, shards, ranks, workers):
    wanted = of_three_classes(job(data=shards, workers=workers))
    trained = run(wanted, TASK)  # to the end of each epoch, without a batch size of a device
    assert trained.by_class["images"] == {"0": 3, "1": 4, "2": 4}
    again = replace(wanted, train=False, weights=trained.checkpoint, work_dir=None)
    outcomes = run_on(ranks, again)
    assert [outcome.by_class for outcome in outcomes] == [trained.by_class] * ranks

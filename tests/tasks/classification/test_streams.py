"""Training and evaluation on timm's streams, of shards as webdataset reads them."""

import io
import json
import tarfile
from dataclasses import replace

import pytest

from mogabench.engine.run import run
from mogabench.tasks.classification import TASK
from mogabench.tasks.classification.data import open_splits
from tests.engine.ranks import run_on

pytest.importorskip("webdataset", reason="needs pip install -e '.[dev]'")


@pytest.fixture
def shards(folder, tmp_path):
    """The folder's images but one in uneven shards, five to train on and three to evaluate."""
    place, splits = tmp_path / "shards", {}
    place.mkdir()
    for split, name, count in (("train", "train", 5), ("val", "validation", 3)):
        images = list(enumerate(sorted(folder.glob(f"{split}/*/*.png"))))[1:]
        files = [f"{name}-{shard}.tar" for shard in range(count)]
        for shard, file in enumerate(files):
            with tarfile.open(place / file, "w") as archive:
                for number, image in images[shard::count]:
                    label = sorted(["blue", "green", "red"]).index(image.parent.name)
                    add(archive, f"{number:03}.png", image.read_bytes())
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


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "workers"), [(2, 1), (3, 4)])
def test_processes_evaluate_each_sample_of_a_stream_once(job, shards, ranks, workers):
    wanted = job(data=shards, workers=workers)
    options = {"options": (("num_classes", 3),)}
    wanted = replace(wanted, subject=wanted.subject.model_copy(update=options))
    trained = run(wanted, TASK)  # to the end of each epoch, without a batch size of a device
    assert trained.by_class["images"] == {"0": 3, "1": 4, "2": 4}
    again = replace(wanted, train=False, weights=trained.checkpoint, work_dir=None)
    outcomes = run_on(ranks, again)
    assert [outcome.by_class for outcome in outcomes] == [trained.by_class] * ranks

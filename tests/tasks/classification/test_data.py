import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from timm.data import ImageNetInfo
from torch.utils.data import IterableDataset

from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.records import Data, Kind, Store
from mogabench.tasks.classification import TASK, data
from mogabench.tasks.classification.data import open_splits

SYNSETS = ImageNetInfo().label_names()


def refused(job, message):
    with pytest.raises(UserError, match=message) as caught:
        data.open_splits(job)
    assert "\n" not in str(caught.value)


def test_a_folder_is_named_counted_and_fingerprinted(folder, job):
    training, evaluation = data.open_splits(job())
    assert (training.identity.samples, evaluation.identity.samples) == (48, 12)
    assert (evaluation.identity.name, evaluation.identity.split) == ("folder:colours", "val")
    assert evaluation.classes == ("blue", "green", "red")
    moved = folder / "val" / "red" / "0.png"
    moved.rename(folder / "val" / "blue" / "9.png")
    assert data.open_splits(job())[1].identity.digest != evaluation.identity.digest


@pytest.mark.parametrize(
    ("count", "classes", "name"),
    [
        (50_000, {name: label for label, name in enumerate(SYNSETS)}, "imagenet-1k"),
        (1_281_167, {name: label for label, name in enumerate(SYNSETS)}, "imagenet-1k"),
        (49_999, {name: label for label, name in enumerate(SYNSETS)}, "folder:val"),
        (50_000, {name: label for label, name in enumerate(reversed(SYNSETS))}, "folder:val"),
        (50_000, {name: label for label, name in enumerate(SYNSETS[:999])}, "folder:val"),
    ],
)
def test_only_imagenet_is_called_imagenet(job, count, classes, name):
    class Source:
        reader = SimpleNamespace(class_to_idx=classes)

        def __len__(self):
            return count

    assert data._name(job(data="/data/val"), Source()) == name


def test_a_folder_that_is_not_there(job, tmp_path):
    refused(job(data=str(tmp_path / "nowhere")), "there is no folder .*nowhere")


def test_a_folder_without_train_or_val(job, folder):
    shutil.rmtree(folder / "train")
    refused(job(), "has no folder train/")
    shutil.rmtree(folder / "val")
    refused(job(), "has no folder val/")


def test_an_empty_folder(job, folder):
    shutil.rmtree(folder / "train")
    (folder / "train" / "red").mkdir(parents=True)
    refused(job(), "train holds no images in class folders")


def test_a_folder_of_one_class(job, folder):
    for name in ("blue", "green"):
        shutil.rmtree(folder / "val" / name)
    refused(job(), r"val must have a folder .* two or more classes \(found red\)")


def test_images_outside_class_folders(job, folder):
    for image in folder.glob("val/*/*.png"):
        image.rename(folder / "val" / f"{image.parent.name}-{image.name}")
    refused(job(), "val holds no images in class folders: 12 lie in it directly")


def test_images_of_any_ending_are_read_and_the_rest_is_counted(job, folder):
    for split in ("train", "val"):
        for place, image in enumerate(sorted(folder.glob(f"{split}/red/*.png"))):
            ending = (".webp", ".TIF", ".bmp", ".gif")[place % 4]
            Image.open(image).save(image.with_suffix(ending))
            image.unlink()
        (folder / split / "red" / "labels.txt").touch()
        (folder / split / "blue" / "._0.png").touch()
        (folder / split / ".ipynb_checkpoints").mkdir()
        deeper = folder / split / "green" / "more"
        deeper.mkdir()
        (folder / split / "green" / "0.png").rename(deeper / "0.png")
        (deeper / "again").symlink_to(folder / split / "green")  # a loop
    shutil.copy(folder / "val" / "blue" / "0.png", folder / "val" / "stray.png")
    train, val = open_splits(job())
    assert (train.identity.samples, val.identity.samples) == (48, 12)
    assert val.classes == ("blue", "green", "red")
    labels = [val.source.reader[index][1] for index in range(12)]
    assert sorted(labels) == [0] * 4 + [1] * 4 + [2] * 4
    assert val.notes == (
        "val: left out hidden and system files or folders: 2, such as .ipynb_checkpoints",
        "val: left out files that are not images: 1 .txt",
        "val: left out 1 images that lie in no class folder",
    )
    assert run(job("schedule.epochs=1"), TASK).notes[: len(train.notes)] == list(train.notes)


def test_a_class_that_loses_its_images_is_refused(job, folder):
    for image in folder.glob("train/red/*.png"):
        image.rename(image.with_suffix(".heic"))
    refused(job(), r"class folder .*red has no image that is read, but 16 \.heic; images end in")


@pytest.mark.parametrize("ten", ["10", "10②"])
def test_numbers_are_in_natural_order_and_that_is_said(job, folder, ten):
    for split in ("train", "val"):
        for name, number in (("blue", "1"), ("green", ten), ("red", "2")):
            (folder / split / name).rename(folder / split / number)
    _, val = open_splits(job())
    assert val.classes == ("1", "2", ten)
    assert f"natural order (1, 2, {ten}, …), not as torchvision's ImageFolder" in val.notes[0]


def test_classes_that_differ_between_train_and_val(job, folder):
    (folder / "val" / "red").rename(folder / "val" / "pink")
    refused(job(), "different classes: red in training only, pink in evaluation only")


def test_a_class_map_that_lacks_a_folder(job, tmp_path):
    names = tmp_path / "classes.txt"
    names.write_text("blue\ngreen\n")

    def with_map(file):
        return job(options=TASK.Options(class_map=file))

    refused(with_map(names), "classes.txt lacks the class folders red")
    refused(with_map(tmp_path / "none.txt"), "cannot read the class map .*none.txt")


@pytest.mark.parametrize(("train", "said"), [(True, ""), (False, " or the weights")])
def test_a_network_for_another_number_of_classes(job, train, said, tmp_path):
    subject = job().subject.model_copy(update={"options": (("num_classes", 5),)})
    torch.save({"weight": torch.ones(1)}, tmp_path / "w.pth")
    wanted = job(train=train, weights=tmp_path / "w.pth", subject=subject)
    with pytest.raises(
        UserError, match=rf"5 classes, but .*colours has 3: --option num_classes{said} must be for"
    ):
        run(wanted, TASK)
    with pytest.raises(UserError, match="5 classes, but the list of their names has 2: "):
        replace(wanted, data="").network_subject(2)  # of a prediction


@pytest.mark.parametrize("data", ["hfds/x", "tfds/x", "wds/x"])
def test_a_data_set_whose_package_or_files_are_missing(job, data):
    lacks = f"{data} needs a package that is not installed: "
    refused(job(data=data), f"^({lacks}|cannot open {data}, split (train|val): )")


def test_a_stream_says_how_its_images_are_decoded_and_ordered(job, monkeypatch):
    class Stream(IterableDataset):
        reader = SimpleNamespace(class_to_idx={"cat": 0, "dog": 1}, num_samples=4)

        def __iter__(self):
            yield from ()

    monkeypatch.setattr(data, "create_dataset", lambda *_, **__: Stream())
    train, val = open_splits(job(data="wds/x", workers=3))
    assert val.is_stream
    (decoded,) = val.notes
    assert decoded.startswith("val: images of a stream are decoded by timm")
    assert train.notes[1].startswith("train: 3 workers share the stream")


def test_a_class_map_that_lacks_a_class_of_a_named_data_set(job, monkeypatch, tmp_path):
    reader = SimpleNamespace(class_to_idx={}, _source_names={0: "cat", 1: "dog"})
    monkeypatch.setattr(data, "create_dataset", lambda *_, **__: SimpleNamespace(reader=reader))
    names = tmp_path / "classes.txt"
    names.write_text("cat\neel\n")
    refused(job(data="hfds/x", options=TASK.Options(class_map=names)), "lacks the classes dog")


def test_an_image_that_has_no_name_is_called_by_its_place():
    source = SimpleNamespace(filename=lambda *_, **__: None)
    identity = Data(name="hfds/x", split="val", samples=9, digest="0")
    assert data.Split(source, identity, 2, ()).name_of(7) == "hfds/x[7]"


def test_a_class_map_may_begin_with_a_byte_order_mark_and_names_no_class_twice(job, tmp_path):
    file = tmp_path / "classes.txt"
    file.write_bytes(b"\xef\xbb\xbfred\r\ngreen\r\nblue\r\n")
    _, val = open_splits(job(options=TASK.Options(class_map=file)))
    assert val.classes == ("red", "green", "blue")
    file.write_text("red\ngreen\nred\nblue\n")
    refused(job(options=TASK.Options(class_map=file)), "names red twice")
    file.write_text("\n")
    refused(job(options=TASK.Options(class_map=file)), "names no class$")


@pytest.mark.slow
def test_names_that_are_not_utf8_go_through_a_training_and_its_record(folder, tmp_path):
    odd = os.fsdecode(bytes(folder) + b"-\xff")
    folder.rename(odd)
    Path(odd, "train", "red", os.fsdecode(b"\xfe.txt")).touch()
    command = [Path(sys.executable).with_name("mogabench"), "run", "classification", "--train"]
    command += [
        "--backbone",
        "test_convnext",
        "--recipe",
        "sample_digits",
        "--set",
        "batch_size=16",
    ]
    command += ["--set", "schedule={epochs: 1, warmup_epochs: 0}", "--workers", "0", "--quiet"]
    command += ["--data", odd, "--work-dir", tmp_path / "work", "--results", tmp_path / "results"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    (record,) = Store(tmp_path / "results").all(Kind.QUALITY)
    assert record.provenance.data.name == "folder:colours-\\xff"

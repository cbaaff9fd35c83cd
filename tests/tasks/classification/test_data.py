import shutil
from types import SimpleNamespace

import pytest
from timm.data import ImageNetInfo

from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.tasks.classification import TASK, data

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
    refused(job(), r"val must have a folder for each of two or more classes \(found red\)")


def test_images_outside_class_folders(job, folder):
    for image in folder.glob("val/*/*.png"):
        image.rename(folder / "val" / f"{image.parent.name}-{image.name}")
    refused(job(), "val must have a folder for each of two or more classes .*directly")


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


def test_a_network_for_another_number_of_classes(job):
    wanted = job()
    options = {"options": (("num_classes", 5),)}
    with pytest.raises(UserError, match=r"has 5 classes, but .*colours has 3"):
        run(job(subject=wanted.subject.model_copy(update=options)), TASK)


@pytest.mark.parametrize("data", ["hfds/x", "tfds/x", "wds/x"])
def test_a_data_set_whose_package_or_files_are_missing(job, data):
    refused(job(data=data), f"{data}")

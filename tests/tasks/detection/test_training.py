"""The whole way on drawn shapes: train, be killed, resume, evaluate, draw."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmdet.datasets import CocoDataset
from mmdet.datasets.samplers import AspectRatioBatchSampler
from PIL import Image
from torch.utils.data import Sampler

from mogabench.data import folders
from mogabench.data.shapes import sample_shapes
from mogabench.engine.coco_files import CocoFiles
from mogabench.engine.loading import training_loader
from mogabench.engine.make_job import make_job
from mogabench.engine.randomness import TrainingOrder
from mogabench.engine.run import run
from mogabench.engine.saving import CHECKPOINT
from mogabench.errors import UserError
from mogabench.subject import Subject
from mogabench.tasks import get_task, load_recipe
from mogabench.tasks.detection import TASK
from mogabench.tasks.detection.data import Images, open_split, training_transforms

FLOOR = 8.0
"""Box AP in %. Three epochs give 11.5 to 24.1 with the seeds 0 to 3 on an Intel Xeon and 31.2 with
seed 0 on an AMD EPYC, whose rounding differs; a network that learns nothing has 0."""


def job(folder: Path, *overrides: str, **changes: object):
    subject = Subject(
        task="detection", method="retinanet", backbone="resnet10t", input_size=(96, 96)
    )
    settings = {
        "data": "sample",
        "size_is_given": False,
        "recipe": "sample_shapes_detection",
        "overrides": ["schedule.epochs=3", "schedule.milestones=[2]", *overrides],
        "weights": None,
        "train": True,
        "work_dir": folder,
        "device": "cpu",
        "workers": 0,
        "quiet": True,
    }
    return make_job(get_task("detection"), subject, **(settings | changes))


def test_samples_of_stages_that_retinanet_does_not_have_are_refused(tmp_path):
    """But not those of the recipe, which is for any detector."""
    changed = job(tmp_path, "model.roi_samples=64")
    with pytest.raises(UserError, match=r"^model.roi_samples=64 has no effect: retinanet has one"):
        TASK.prepare(changed)
    subject = changed.subject.model_copy(update={"method": "mask_rcnn"})
    for accepted in (job(tmp_path), replace(changed, subject=subject)):
        TASK.prepare(accepted)


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_and_resumed_training_finds_shapes(tmp_path):
    work = tmp_path / "work"
    process = multiprocessing.get_context("spawn").Process(target=run, args=(job(work), TASK))
    process.start()
    while not (work / CHECKPOINT).exists() and process.is_alive():
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL and (work / CHECKPOINT).exists()

    outcome = run(job(work, resume=True), TASK)
    assert outcome.metrics["box_ap"] > FLOOR
    assert outcome.metrics["box_ap50"] > outcome.metrics["box_ap75"]
    assert Image.open(work / "predictions.png").size == (1280, 640)
    alone = replace(job(work), train=False, weights=outcome.checkpoint, work_dir=None)
    assert run(alone, TASK).metrics == outcome.metrics
    in_openvino = run(replace(alone, runtime="openvino"), TASK)
    assert in_openvino.metrics == pytest.approx(outcome.metrics, abs=0.01)
    assert "openvino computes backbone and neck, PyTorch the rest" in in_openvino.notes


def test_images_are_flipped_as_often_as_the_recipe_says():
    plain, mirrored = (
        Images(
            open_split("sample", "train", masks=False),
            training_transforms(
                load_recipe("sample_shapes_detection", overrides=[f"augment.hflip={often}"]),
                masks=False,
            ),
            training=True,
        )[0]
        for often in ("0.0", "1.0")
    )
    assert torch.equal(mirrored["inputs"], plain["inputs"].flip(-1))
    left, top, right, bottom = plain["data_samples"].gt_instances.bboxes.tensor.T
    boxes = torch.stack([96 - right, top, 96 - left, bottom], dim=1)
    torch.testing.assert_close(mirrored["data_samples"].gt_instances.bboxes.tensor, boxes)


@pytest.fixture
def shapes(tmp_path):
    """A copy of the shapes in COCO's layout, to spoil."""
    return Path(shutil.copytree(sample_shapes() / "coco", tmp_path / "shapes"))


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"\x89PNG nothing more", b""])
def test_an_image_that_cannot_be_read_is_named(tmp_path, shapes, content):
    for image in (shapes / "train2017").iterdir():
        image.write_bytes(content)
    with pytest.raises(UserError, match=r"^most train images .*train2017/.*\.png: it is "):
        run(job(tmp_path / "work", data=str(shapes), workers=1), TASK)


@pytest.mark.slow
def test_an_image_of_another_size_than_annotated_is_named(tmp_path, shapes, monkeypatch):
    Image.new("RGB", (60, 96)).save(shapes / "train2017" / "000000000003.png")
    message = r"size for 1 of its images, .*3\.png \(96x96, but is 60x96\)$"
    with pytest.raises(UserError, match=message):
        TASK.prepare(job(tmp_path / "work", data=str(shapes)))
    monkeypatch.setattr(folders, "_LOOKED_AT", 2)  # the first and the last one
    with pytest.raises(UserError, match=r"\.png is of 60x96 pixels, but its annotations say 96x96"):
        run(job(tmp_path / "work", data=str(shapes)), TASK)


def test_images_that_are_all_too_small_to_train_on(tmp_path, shapes):
    file = shapes / "annotations" / "instances_train2017.json"
    content = json.loads(file.read_text())
    for image in content["images"]:
        image["height"] = 31
        Image.new("RGB", (96, 31)).save(shapes / "train2017" / image["file_name"])
    for item in content["annotations"]:
        item["bbox"] = [1, 1, 5, 5]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"no image to train on: .* side of 32 pixels or more"):
        run(job(tmp_path / "work", data=str(shapes)), TASK)


def test_a_file_without_annotations_is_nothing_to_train_on(tmp_path, shapes):
    file = shapes / "annotations" / "instances_train2017.json"
    content = json.loads(file.read_text())
    del content["annotations"]
    file.write_text(json.dumps(content))
    with pytest.raises(
        UserError, match=r"instances_train2017\.json has no image to train on: none"
    ):
        TASK.prepare(job(tmp_path / "work", data=str(shapes)))


@pytest.mark.slow
def test_what_mmdet_does_not_train_on_is_counted(tmp_path, shapes):
    file = shapes / "annotations" / "instances_train2017.json"
    content = json.loads(file.read_text())
    counts = Counter(item["image_id"] for item in content["annotations"])
    several = [image["id"] for image in content["images"][4:] if counts[image["id"]] > 1]
    (first, third), (second, fourth) = several[:2], (content["images"][n]["id"] for n in (1, 3))
    counted = [x for x in content["annotations"] if x["image_id"] not in (second, fourth)]
    changed = [x for x in counted if x["image_id"] == first]
    changed[0]["bbox"][2], changed[1]["bbox"][3] = 0.9, 0.5
    outside = [x for x in counted if x["image_id"] == third]
    outside[0]["bbox"][0] = 500
    next(x for x in counted if x["image_id"] == several[2])["ignore"] = 1
    content["annotations"] = counted
    content["images"][3]["height"] = 31
    image = shapes / "train2017" / content["images"][3]["file_name"]
    Image.new("RGB", (content["images"][3]["width"], 31)).save(image)
    file.write_text(json.dumps(content))
    setup = TASK.prepare(job(tmp_path / "work", data=str(shapes)))
    name = file.name
    assert setup.notes == [
        f"{name}: 1 boxes without an area in their image were left out",
        f"{name}: 1 annotations are to be ignored, and are treated as crowds (iscrowd 1)",
        f"{name}: 1 crowds (iscrowd 1) are not trained on",
        f"{name}: 2 boxes less than a pixel wide or high are not trained on",
        f"{name}: 1 images with a shorter side below 32 pixels are not trained on",
        f"{name}: 1 other images without boxes are not trained on",
    ]
    theirs = CocoDataset(
        ann_file=str(file),
        data_prefix={"img": str(shapes / "train2017")},
        metainfo={"classes": setup.classes},
        filter_cfg={"filter_empty_gt": True, "min_size": 32},
        pipeline=[],
    )
    assert len(theirs) == len(setup.train.items) == setup.train.identity.samples
    boxes = sum(len(theirs.get_data_info(n)["instances"]) for n in range(len(theirs)))
    assert boxes == len(counted) - 4  # it leaves out what is ignored
    for item in counted:
        item["bbox"][2:] = [0.5, 4]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match="no box to train on: other than crowds, all are less than"):
        TASK.prepare(job(tmp_path / "work", data=str(shapes)))


class AnyOrder(Sampler):
    """The order of a data set whose images make a batch however high and wide they are."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __iter__(self):
        return iter([draw.image for draw in TrainingOrder(len(self.dataset), seed=42)])


@pytest.mark.slow
def test_steps_are_of_one_orientation_as_in_mmdet(tmp_path, shapes):
    file = shapes / "annotations" / "instances_train2017.json"
    content = json.loads(file.read_text())
    for image in content["images"][::3]:
        image["width"] = 60
        Image.new("RGB", (60, 96)).save(shapes / "train2017" / image["file_name"])
    file.write_text(json.dumps(content))
    training = job(tmp_path / "work", "batch_size=4", data=str(shapes), batch_size=2)
    train = TASK.prepare(training).train
    ours = [draw.image for draw in training_loader(training, train, 2).sampler]
    plain = AnyOrder(train.items)
    theirs = list(AspectRatioBatchSampler(plain, training.recipe.batch_size))
    assert ours == [number for step in theirs for number in step]
    assert ours != list(plain)


@pytest.mark.slow
def test_repairs_are_noted_in_the_outcome(tmp_path, shapes, caplog):
    caplog.set_level("INFO")
    file = shapes / "annotations" / "instances_val2017.json"
    content = json.loads(file.read_text())
    content["images"] = content["images"][:2]
    kept = {item["id"] for item in content["images"]}
    content["annotations"] = [x for x in content["annotations"] if x["image_id"] in kept]
    for number, item in enumerate(content["annotations"]):
        item["id"] = number
    file.write_text(json.dumps(content))
    few = shapes / "annotations" / "instances_train2017.json"
    few.write_text(file.read_text())
    for name in ("train2017", "val2017"):
        for image in content["images"]:
            shutil.copy(sample_shapes() / "coco" / "val2017" / image["file_name"], shapes / name)
    outcome = run(
        job(tmp_path / "work", "schedule.epochs=1", "batch_size=2", data=str(shapes)), TASK
    )
    repair = (
        "instances_val2017.json: its annotations' ids are below 1 or repeated, and were counted "
        "from 1 instead"
    )
    assert repair in outcome.notes
    assert repair in caplog.text
    assert outcome.data.name == "folder:shapes"


def test_both_parts_must_have_the_same_categories(tmp_path, shapes):
    file = shapes / "annotations" / "instances_train2017.json"
    content = json.loads(file.read_text())
    content["categories"].append({"id": 9, "name": "star"})
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"triangle, star, but .* has disc, square, triangle$"):
        run(job(tmp_path / "work", data=str(shapes)), TASK)


def test_another_number_of_classes_than_the_datas_is_refused(tmp_path):
    this = job(tmp_path / "work")
    subject = this.subject.model_copy(update={"options": (("num_classes", 7),)})
    with pytest.raises(UserError, match="7 classes, but sample has 3: --option num_classes must"):
        run(replace(this, subject=subject), TASK)


def test_data_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*nowhere/.*; --data takes COCO's folder"):
        run(job(tmp_path / "work", data=str(tmp_path / "nowhere")), TASK)


@pytest.mark.parametrize(
    ("arrange", "files"),
    [
        ({"train": ("train", "train"), "val": ("valid", "valid")}, CocoFiles()),
        (
            {"train": ("train", "pictures/train"), "val": ("val", "pictures/val")},
            CocoFiles(annotations="{split}/_annotations.coco.json", images="pictures/{split}"),
        ),
    ],
)
def test_other_names_of_the_files(shapes, arrange, files):
    """Roboflow's, which are known, and any that the options give."""
    plain = {part: open_split(str(shapes), part, masks=False) for part in arrange}
    for part, (beside, images) in arrange.items():
        (shapes / images).parent.mkdir(exist_ok=True)
        (shapes / f"{part}2017").rename(shapes / images)
        (shapes / beside).mkdir(exist_ok=True)
        file = shapes / "annotations" / f"instances_{part}2017.json"
        file.rename(shapes / beside / "_annotations.coco.json")
    for part, split in plain.items():
        found = open_split(str(shapes), part, masks=False, files=files)
        assert found.identity.digest == split.identity.digest
        assert (found.images / split.annotations.content["images"][0]["file_name"]).is_file()


@pytest.mark.parametrize(
    ("part", "there", "missing"), [("train", "test", "train"), ("val", "train", "valid")]
)
def test_a_split_that_a_roboflow_export_lacks_is_named(shapes, part, there, missing):
    (shapes / there).mkdir()
    (shapes / there / "_annotations.coco.json").write_text("{}")
    assert open_split(str(shapes), part, masks=False).identity.samples  # COCO's names beside it
    (shapes / "annotations").rename(shapes / "other")
    with pytest.raises(
        UserError, match=f"cannot read .*/{missing}/_annotations.coco.json: No such"
    ):
        open_split(str(shapes), part, masks=False)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (CocoFiles(annotations="all.json"), "--annotations and --images go together"),
        (CocoFiles(annotations="all.json", images="."), "one file to train on and to evaluate on"),
    ],
)
def test_names_of_files_that_do_not_tell_the_splits_apart(shapes, files, message):
    with pytest.raises(UserError, match=message):
        open_split(str(shapes), "train", masks=False, files=files)

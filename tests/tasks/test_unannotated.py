"""Images without annotations, as of test servers: the predictions are those of annotated ones."""

import csv
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from torch import nn

from mogabench.checkpoints import save_checkpoint
from mogabench.data.shapes import SCENE_CLASSES, sample_shapes
from mogabench.engine.coco_files import CocoFiles
from mogabench.engine.job import Job
from mogabench.engine.make_job import make_job
from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.subject import Subject
from mogabench.tasks import classification, detection, get_task, load_recipe, segmentation
from mogabench.tasks.pose.data import read_people
from mogabench.tasks.pose.sample import sample_figures
from mogabench.tasks.segmentation.data import ADE20K, evaluation_split
from mogabench.tasks.segmentation.masks import Ids


class Case(NamedTuple):
    """Data with annotations and the same without, each a folder and the task's options."""

    subject: Subject
    annotated: tuple[Path, dict[str, Any]]
    alone: tuple[Path, dict[str, Any]]


def first_images(source: Path, target: Path, kind: str, count: int) -> dict[str, Any]:
    """Copies COCO's folder with some validation images, and one of the same as a test set."""
    content = json.loads((source / "annotations" / f"{kind}_val2017.json").read_text())
    content["images"] = content["images"][:count]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [x for x in content["annotations"] if x["image_id"] in kept]
    for folder in ("val2017", "test2017"):
        (target / folder).mkdir(parents=True)
        for image in content["images"]:
            shutil.copy(source / "val2017" / image["file_name"], target / folder)
    (target / "annotations").mkdir()
    (target / "annotations" / f"{kind}_val2017.json").write_text(json.dumps(content))
    alone = {name: content[name] for name in ("images", "categories")}
    (target / "annotations" / "image_info_test-dev2017.json").write_text(json.dumps(alone))
    return content


TEST_DEV = {"annotations": "annotations/image_info_test-dev2017.json", "images": "test2017"}


def coco(tmp_path, **_):
    first_images(sample_shapes() / "coco", tmp_path / "coco", "instances", 3)
    return Case(
        Subject(
            task="detection",
            method="mask_rcnn",
            backbone="resnet10t",
            input_size=(96, 96),
            options={"num_classes": 3},
        ),
        (tmp_path / "coco", {}),
        (tmp_path / "coco", TEST_DEV),
    )


def figures(tmp_path, **_):
    content = first_images(sample_figures(), tmp_path / "coco", "person_keypoints", 3)
    boxes = [{**item, "score": 0.5} for item in content["annotations"]]
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps(boxes))
    return Case(
        Subject(task="pose", method="simple_baseline", backbone="test_resnet", input_size=(64, 64)),
        (tmp_path / "coco", {"boxes": file}),
        (tmp_path / "coco", {"boxes": file, **TEST_DEV}),
    )


def scenes(tmp_path, **_):
    root, source = tmp_path / "ade", sample_shapes() / "ade"
    for kind in ("images", "annotations"):
        (root / kind / "validation").mkdir(parents=True)
        for file in sorted((source / kind / "validation").iterdir())[:3]:
            shutil.copy(file, root / kind / "validation")
    names = tmp_path / "classes.txt"
    names.write_text("\n".join(SCENE_CLASSES))
    return Case(
        Subject(
            task="segmentation",
            method="semantic_fpn",
            backbone="resnet10t",
            input_size=(96, 384),
            options={"num_classes": len(SCENE_CLASSES)},
        ),
        (root, {"class_map": names}),
        (root / "images" / "validation", {"class_map": names}),
    )


def colours(tmp_path, folder):
    alone = tmp_path / "alone"
    alone.mkdir()
    for file in folder.glob("val/*/*.png"):
        shutil.copy(file, alone / f"{file.parent.name}-{file.name}")
    names = tmp_path / "classes.txt"
    names.write_text("blue\ngreen\nred\n")
    return Case(
        Subject(
            task="classification",
            method="classifier",
            backbone="test_resnet",
            input_size=(32, 32),
            options={"num_classes": 3},
        ),
        (folder, {}),
        (alone, {"class_map": names}),
    )


def clips(tmp_path, **_):
    frames = np.random.default_rng(0).integers(0, 256, (3, 7, 1, 16, 16), np.uint8)
    for name, content in (("known", frames), ("alone", frames[:, :2])):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "val.npy", content)
    options = {"out_frames": 5, "layout": "NTCHW"}
    return Case(
        Subject(
            task="video",
            method="simvp",
            backbone="moganet",
            input_size=(2, 1, 16, 16),
            options={"encoder_dim": 8, "hidden_dim": 16, "depth": 2},
        ),
        (tmp_path / "known", options),
        (tmp_path / "alone", options),
    )


CASES = {
    "classification": colours,
    "detection": coco,
    "segmentation": scenes,
    "pose": figures,
    "video": clips,
}


def random_weights(task, subject, folder: Path, randomise) -> Path:
    """Weights that predict something."""
    network = task.build(subject)
    network = randomise(network.detector if task.name == "detection" else network)
    for name, value in network.named_parameters():
        if name.endswith(("rpn_cls.bias", "fc_cls.bias")):
            nn.init.zeros_(value)  # else all is background
    save_checkpoint(folder / "weights.pth", {"state_dict": network.state_dict()})
    return folder / "weights.pth"


def read(file: Path) -> Any:
    """What was predicted, in a form that can be compared."""
    if file.suffix == ".json":
        return json.loads(file.read_text())
    if file.suffix == ".npy":
        return np.load(file).tolist()
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    rows = list(csv.DictReader(file.open(newline="")))
    # The class was the folder, and is part of the name where there are no folders.
    labels = [row.pop("label") or Path(row["image"]).name.partition("-")[0] for row in rows]
    names = [Path(row.pop("image")).name.rpartition("-")[2] for row in rows]
    return dict(zip(zip(labels, names, strict=True), rows, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_images_without_annotations(name, tmp_path, folder, randomise, caplog):
    caplog.set_level("INFO")
    task, case = get_task(name), CASES[name](tmp_path, folder=folder)
    weights = random_weights(task, case.subject, tmp_path, randomise)

    def evaluate(data, options, file, **changes):
        settings = {"recipe": None, "overrides": (), "size_is_given": True, "work_dir": None}
        job = make_job(
            task,
            case.subject,
            data=str(data),
            options=task.Options(**options),
            weights=str(weights),
            train=False,
            device="cpu",
            workers=0,
            quiet=True,
            predictions=file,
            **settings | changes,
        )
        return run(job, task)

    files = [tmp_path / f"{kind}{task.predictions}" for kind in ("known", "alone")]
    assert evaluate(*case.annotated, files[0]).metrics
    assert "nothing was measured" not in caplog.text
    outcome = evaluate(*case.alone, files[1], work_dir=tmp_path / "work")
    assert outcome.metrics == {}
    line = f"nothing was measured, since {outcome.data.name} has no annotations; the predictions"
    assert f"{line} are in {files[1]}" in caplog.text
    known, alone = map(read, files)
    assert known == alone
    assert known
    with pytest.raises(UserError, match=rf"no annotations: --predictions FILE\{files[0].suffix} "):
        evaluate(*case.alone, None)
    if task.has_confusions:
        with pytest.raises(UserError, match=r"no annotations: --confusion needs them$"):
            evaluate(*case.alone, files[1], confusion=tmp_path / "matrix.csv")


def test_where_classes_have_no_folders_the_weights_name_them(job, folder, tmp_path):
    weights = run(job(), classification.TASK).checkpoint
    loose = tmp_path / "loose" / "val"
    loose.mkdir(parents=True)
    for file in folder.glob("val/red/*.png"):
        shutil.copy(file, loose)
    (loose / "notes.txt").write_text("")
    file = tmp_path / "found.csv"
    wanted = job(train=False, weights=weights, data=str(loose.parent), predictions=file)
    outcome = run(wanted, classification.TASK)
    assert outcome.notes == ["val: left out files that are not images: 1 .txt"]
    rows = list(csv.DictReader(file.open(newline="")))
    assert [row["image"] for row in rows] == [str(loose / f"{n}.png") for n in range(4)]
    assert {row["label"] for row in rows} == {""}
    assert {row[f"class_{n}"] for row in rows for n in (1, 2, 3)} == {"blue", "green", "red"}
    names = tmp_path / "names.txt"
    names.write_text("red\ngreen\nblue\n")
    options = classification.TASK.Options(class_map=names)
    with pytest.raises(UserError, match="was trained for the classes blue, green, red, but the"):
        run(replace(wanted, options=options), classification.TASK)


def test_poses_without_annotations_need_boxes(tmp_path):
    first_images(sample_figures(), tmp_path, "person_keypoints", 1)
    files = CocoFiles(**TEST_DEV)
    with pytest.raises(UserError, match=r"dev2017\.json has no annotations, so --boxes FILE must"):
        read_people(tmp_path, "val", files=files)


def test_masks_may_be_missing_only_where_nothing_is_trained(tmp_path):
    (tmp_path / "images" / "validation").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "validation" / "a.png")
    subject = Subject(
        task="segmentation", method="semantic_fpn", backbone="resnet10t", input_size=(96, 384)
    )
    job = Job(subject, None, str(tmp_path), segmentation.TASK.Options(), weights=Path("any"))
    ids = Ids(ADE20K)
    assert not evaluation_split(job, ids).annotated
    with pytest.raises(UserError, match=r"there is no folder .*annotations/validation"):
        evaluation_split(replace(job, train=True), ids)
    with pytest.raises(UserError, match=r"there is no folder .*nowhere/images/validation"):
        evaluation_split(replace(job, data=str(tmp_path / "nowhere")), ids)


@pytest.mark.slow
def test_a_training_is_evaluated_by_annotations(tmp_path):
    shutil.copytree(sample_shapes() / "coco", tmp_path, dirs_exist_ok=True)
    file = tmp_path / "annotations" / "instances_val2017.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"annotations": []}))
    subject = Subject(
        task="detection", method="retinanet", backbone="resnet10t", input_size=(96, 96)
    )
    recipe = load_recipe("sample_shapes_detection")
    job = Job(subject, recipe, str(tmp_path), CocoFiles(), work_dir=tmp_path / "work", train=True)
    with pytest.raises(UserError, match=r"^folder:\S* has no annotations: --train needs them$"):
        run(job, detection.TASK)

import copy
import json

import pytest
from mmdet.datasets import CocoDataset
from PIL import Image

from mogabench.errors import UserError
from mogabench.tasks.detection.annotations import read_annotations
from mogabench.tasks.detection.data import open_split
from mogabench.tasks.detection.metric import CocoPrecision

SOUND = {
    "images": [{"id": 1, "file_name": "a.png", "height": 20, "width": 30}],
    "annotations": [
        {"id": 7, "image_id": 1, "category_id": 3, "bbox": [2, 2, 10, 10], "area": 100},
        {"id": 8, "image_id": 1, "category_id": 9, "bbox": [15, 5, 10, 12], "area": 120},
    ],
    "categories": [{"id": 9, "name": "dog"}, {"id": 3, "name": "cat"}],
}


@pytest.fixture
def read(tmp_path):
    """Writes a changed copy of a sound file, and reads it."""

    def change_and_read(change=lambda content: None, text=None):
        images = tmp_path / "images"
        images.mkdir(exist_ok=True)
        Image.new("RGB", (30, 20)).save(images / "a.png")
        content = copy.deepcopy(SOUND)
        change(content)
        file = tmp_path / "instances.json"
        file.write_text(json.dumps(content) if text is None else text)
        return read_annotations(file, images)

    return change_and_read


def test_a_sound_file_is_taken_as_it_is(read):
    annotations = read()
    assert annotations.classes == ("cat", "dog")  # by id, as COCO's 80 are
    assert CocoPrecision(annotations, masks=False).categories == [3, 9]
    assert annotations.repairs == ()
    assert [item["id"] for item in annotations.content["annotations"]] == [7, 8]


@pytest.mark.parametrize("ids", [(0, 1), (-1, 0), (-1, 5), (7, 7)])
def test_ids_are_repaired_so_that_the_truth_scores_100(read, ids):
    def number(content):
        for item, to in zip(content["annotations"], ids, strict=True):
            item["id"] = to

    annotations = read(number)
    assert annotations.repairs == (
        "its annotations' ids are below 1 or repeated, and were counted from 1 instead",
    )
    assert precision_of_truth(annotations) == pytest.approx(100)


def precision_of_truth(annotations):
    """The AP of the true boxes."""
    truth = [
        {"image_id": 1, "category_id": x["category_id"], "bbox": x["bbox"], "score": 1.0}
        for x in SOUND["annotations"]
    ]
    return CocoPrecision(annotations, masks=False).compute_metrics(truth)["box_ap"]


@pytest.mark.parametrize("area", [0, -5, None])
def test_areas_that_are_not_positive_become_the_boxes(read, area):
    def spoil(content):
        for item in content["annotations"]:
            item["area"] = area
            if area is None:
                del item["area"]

    annotations = read(spoil)
    assert annotations.repairs == ("2 areas were missing or not positive; the boxes' are used",)
    assert [item["area"] for item in annotations.content["annotations"]] == [100, 120]
    assert precision_of_truth(annotations) == pytest.approx(100)


def test_objects_whose_masks_are_empty_are_left_out(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    content = copy.deepcopy(SOUND)
    empty, dog = content["annotations"]
    empty["segmentation"], empty["area"] = {"size": [20, 30], "counts": [600]}, 0
    dog["segmentation"] = [[15, 5, 25, 5, 25, 17, 15, 17]]
    del dog["area"]
    (tmp_path / "instances.json").write_text(json.dumps(content))
    read = read_annotations(tmp_path / "instances.json", tmp_path, masks=True)
    assert [(item["id"], item["area"]) for item in read.content["annotations"]] == [(8, 120)]
    assert read.repairs == (
        "1 areas were missing or not positive; the masks' are used",
        "1 objects whose masks have no pixel were left out",
    )
    boxes = read_annotations(tmp_path / "instances.json", tmp_path)
    assert [item["area"] for item in boxes.content["annotations"]] == [100, 120]
    dog["segmentation"] = empty["segmentation"]
    (tmp_path / "instances.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="no object has an area inside its image"):
        read_annotations(tmp_path / "instances.json", tmp_path, masks=True)


def test_areas_become_those_of_masks_where_they_are_learned(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    content = copy.deepcopy(SOUND)
    for item in content["annotations"]:  # half of the box, in one polygon
        x, y, width, height = item["bbox"]
        item["segmentation"] = [[x, y, x + width / 2, y, x + width / 2, y + height, x, y + height]]
        item["area"] = 0
    (tmp_path / "instances.json").write_text(json.dumps(content))
    read = read_annotations(tmp_path / "instances.json", tmp_path, masks=True)
    assert [item["area"] for item in read.content["annotations"]] == [50, 60]


def test_boxes_as_shares_of_the_image_are_refused(read):
    def divide(content):
        for item in content["annotations"]:
            x, y, width, height = item["bbox"]
            item["bbox"] = [x / 30, y / 20, width / 30, height / 20]

    with pytest.raises(UserError, match=r"all boxes lie within 0 and 1, .*: multiply x and width"):
        read(divide)


def test_what_is_ignored_is_a_crowd_and_nothing_to_find_is_refused(read):
    annotations = read(lambda content: content["annotations"][0].update(ignore=1))
    assert [item["iscrowd"] for item in annotations.content["annotations"]] == [1, 0]
    assert annotations.repairs[0].startswith("1 annotations are to be ignored")

    def ignore_all(content):
        for item in content["annotations"]:
            item["ignore"] = 1

    with pytest.raises(UserError, match="no usable annotation"):
        read(ignore_all)


def test_a_byte_order_mark_is_passed_over(read):
    assert read(text="\ufeff" + json.dumps(SOUND)).classes == ("cat", "dog")


@pytest.mark.parametrize("box", [[3, 3, 0, 4], [3, 3, 4, -1], [31, 3, 4, 4], [3, -9, 4, 9]])
def test_boxes_without_an_area_in_their_image_are_left_out(read, box):
    annotations = read(lambda content: content["annotations"][0].update(bbox=box))
    assert annotations.repairs == ("1 boxes without an area in their image were left out",)
    assert [item["id"] for item in annotations.content["annotations"]] == [8]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("categories"), "is not in COCO's format: it has no categories"),
        (lambda c: c.update(images=[]), "images should have at least 1 item, not 0"),
        (lambda c: c["annotations"][1].pop("bbox"), r"annotations\[1\] has no bbox"),
        (
            lambda c: c["annotations"][1].update(bbox=[1, 2, 3]),
            r"annotations\[1\].bbox should have at least 4 items, not 3",
        ),
        (
            lambda c: c["annotations"][0].update(bbox=[1, "2", 3, 4]),
            r"annotations\[0\].bbox\[1\] should be a valid number, not '2'",
        ),
        (
            lambda c: c["annotations"][0].update(bbox=[1, 2, float("nan"), 4]),
            r"annotations\[0\].bbox\[2\] should be a finite number, not nan",
        ),
        (
            lambda c: c["annotations"][1].update(category_id=4),
            r"have the category_id 4, not one of its categories \(3, 9\)",
        ),
        (lambda c: c["annotations"][0].update(image_id=2), "have the image_id 2"),
        (lambda c: c["categories"][0].update(name="cat"), "several of its categories have the na"),
        (
            lambda c: [item.update(iscrowd=1) for item in c["annotations"]],
            r"no usable annotation: apart from crowds \(iscrowd 1\)",
        ),
        (
            lambda c: c["images"][0].update(file_name="b.png"),
            "1 of the 1 images of instances.json are not in .*images: b.png",
        ),
        (
            lambda c: [item.update(bbox=[1, 1, 0, 0]) for item in c["annotations"]],
            "no usable annotation",
        ),
    ],
)
def test_faults_are_reported_in_one_line(read, change, message):
    with pytest.raises(UserError, match=message) as caught:
        read(change)
    assert "\n" not in str(caught.value)


def test_masks_must_be_there_where_they_are_learned(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(SOUND))
    read_annotations(file, tmp_path)
    with pytest.raises(UserError, match="the mask of annotation 7 is missing"):
        read_annotations(file, tmp_path, masks=True)


def test_what_is_no_json_or_not_there(read, tmp_path):
    with pytest.raises(UserError, match="is not valid JSON"):
        read(text='{"images": [')
    with pytest.raises(UserError, match=r"is not in COCO's format: it should be an object"):
        read(text="[1, 2]")
    with pytest.raises(UserError, match=r"cannot read .*No such file.*; --data takes COCO's"):
        read_annotations(tmp_path / "none.json", tmp_path)
    (tmp_path / "instances.json").write_text(json.dumps(SOUND))
    with pytest.raises(UserError, match=r"there is no folder .*nowhere with the images"):
        read_annotations(tmp_path / "instances.json", tmp_path / "nowhere")


def test_coco_is_recognised_by_names_counts_and_classes(tmp_path, monkeypatch):
    counts = {"train": (1, 90), "val": (1, 80)}
    monkeypatch.setattr("mogabench.tasks.detection.data._COCO", counts)
    for folder in ("train2017", "val2017", "annotations"):
        (tmp_path / folder).mkdir()

    def name(file_name, boxes, part="val"):
        Image.new("RGB", (30, 20)).save(tmp_path / f"{part}2017" / file_name, "JPEG")
        names = CocoDataset.METAINFO["classes"]
        content = {
            "images": [{"id": 42, "file_name": file_name, "height": 20, "width": 30}],
            "categories": [{"id": n, "name": each} for n, each in enumerate(names, 1)],
            "annotations": [
                {"id": n, "image_id": 42, "category_id": n % 80 + 1, "bbox": [1, 1, 5, 5]}
                for n in range(1, boxes + 1)
            ],
        }
        file = tmp_path / "annotations" / f"instances_{part}2017.json"
        file.write_text(json.dumps(content))
        return open_split(str(tmp_path), part, masks=False).identity.name

    assert name("000000000042.jpg", 80) == "coco-2017"
    assert name("000000000042.jpg", 90, "train") == "coco-2017"
    assert name("000000000042.jpg", 80, "train").startswith("folder:")
    assert name("000000000042.jpg", 79).startswith("folder:")
    assert name("black.jpg", 80).startswith("folder:")

import json

import pytest

from mogabench.data.views import View
from mogabench.errors import UserError
from mogabench.tasks.pose.data import read_people
from mogabench.tasks.pose.metric import average_precision
from mogabench.tasks.pose.pictures import PersonPictures

DETECTIONS = [
    {"image_id": 7, "category_id": 1, "bbox": [10, 20, 30, 40], "score": 0.9},
    {"image_id": 9, "category_id": 2, "bbox": [10, 20, 30, 40], "score": 0.8},
    {"image_id": 1234, "category_id": 1, "bbox": [10, 20, 30, 40], "score": 0.7},
]


def score_of_truth(people):
    poses = [
        {"image": p.image, "score": 1.0, "keypoints": p.keypoints, "area": 1.0}
        for p in people.persons
    ]
    return average_precision(people, poses)


def test_boxes_as_shares_of_the_image_are_refused(folder, content, tmp_path):
    shares = [0.1, 0.2, 0.3, 1]
    (tmp_path / "boxes.json").write_text(json.dumps([DETECTIONS[0] | {"bbox": shares}] * 2))
    message = "json: all boxes lie within 0 and 1, .*: multiply x and width"
    with pytest.raises(UserError, match=f"boxes.{message}"):
        read_people(folder(content), "val", tmp_path / "boxes.json")
    for annotation in content["annotations"]:
        annotation["bbox"] = shares
    with pytest.raises(UserError, match=f"person_keypoints_val2017.{message}"):
        read_people(folder(content), "val")
    content["annotations"][0]["bbox"] = [1, 2, 30, 40]
    assert len(read_people(folder(content), "val").persons) == 4


def test_who_is_looked_at(folder, content, points):
    crowd, tiny, outside, animal = (dict(a) for a in content["annotations"])
    crowd["iscrowd"], tiny["keypoints"], animal["category_id"] = 1, [0] * 51, 2
    crowd["id"], tiny["id"], outside["id"] = 11, 12, 13
    outside["bbox"] = [-10.0, 100.0, 50.0, 50.0]
    content["annotations"] += [crowd, tiny, outside, animal]
    content["annotations"][0]["keypoints"][2] = 0
    content["annotations"][0]["bbox"] = [40, 5, 40, 80]
    persons = read_people(folder(content), "val").persons
    assert [person.image for person in persons] == [7, 7, 9, 9, 9]
    assert persons[0].file.name == "a.png"
    assert persons[0].keypoints[0].tolist() == [*points[0, 0], 0]
    # Its 80 pixels are 60 in the input's shape, and a view is a quarter larger.
    assert PersonPictures(persons, (256, 192)).view(0) == View((60.0, 45.0), 75.0)
    # Cut off at the image's edges, and to the middle of its last pixel, as mmpose 0.29 does.
    assert persons[4].box.tolist() == [0, 100, 50, 19]


def test_the_truth_scores_100_though_an_annotation_is_called_0(folder, content):
    people = read_people(folder(content), "val")
    assert list(score_of_truth(people).values()) == pytest.approx([100] * 4)


def test_detected_boxes(folder, content, tmp_path):
    file = tmp_path / "boxes.json"
    # A detector cuts boxes off at the image's edges, and may leave nothing.
    flat = DETECTIONS[0] | {"bbox": [160, 20, 0, 40]}
    file.write_text(json.dumps([flat, *DETECTIONS]))
    people = read_people(folder(content), "val", file)
    (person,) = people.persons
    assert (person.image, person.score, person.keypoints) == (7, 0.9, None)
    assert person.box.tolist() == [10, 20, 30, 40]
    true_boxes = read_people(folder(content), "val")
    assert people.identity.name == f"folder:{tmp_path.name}"
    assert true_boxes.identity.name == f"folder:{tmp_path.name}-true-boxes"
    assert people.identity.digest != true_boxes.identity.digest
    assert people.notes[1:] == (
        "boxes.json: left out 1 persons whose boxes have no area",
        "boxes.json: left out 1 persons in other images",
    )


def test_boxes_of_predict_go_by_names(folder, content, tmp_path):
    """It numbers images and categories of detectors in its own way."""
    boxes = [
        box | {"file_name": name, "category": category}
        for box, name, category in zip(
            DETECTIONS, ("b.png", "a.png", "b.png"), ("dog", "person", "person"), strict=True
        )
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    people = read_people(folder(content), "val", tmp_path / "boxes.json")
    found = [(one.image, one.file.name, one.score) for one in people.persons]
    assert found == [(9, "b.png", 0.7), (7, "a.png", 0.8)]


UNLABELLED = {"id": 20, "keypoints": [0] * 51, "num_keypoints": 0}
CROWD = {"id": 21, "iscrowd": 1}


def test_coco_is_recognised_by_names_persons_and_covered_images(
    folder, content, monkeypatch, tmp_path
):
    annotations = content["annotations"]
    annotations += [annotations[0] | UNLABELLED, annotations[0] | CROWD]

    def name(boxes=None, split="val"):
        return read_people(folder(content), split, boxes).identity.name

    counts = {"train": (2, 3), "val": (2, 4)}
    monkeypatch.setattr("mogabench.tasks.pose.data._COCO", counts)
    monkeypatch.setattr("mogabench.tasks.pose.data._COCO_SINGLE", 5)
    assert name().startswith("folder:")
    for image in content["images"]:
        image["file_name"] = f"{image['id']:012d}.jpg"
    assert name() == "coco-keypoints-true-boxes"
    one, both = tmp_path / "one.json", tmp_path / "both.json"
    one.write_text(json.dumps(DETECTIONS[:1]))
    both.write_text(json.dumps([DETECTIONS[0], {**DETECTIONS[0], "image_id": 9}]))
    assert name(one).startswith("folder:")
    assert name(both) == "coco-keypoints"
    for spoiled in (annotations[:4] + annotations[5:], annotations[:5], annotations[1:]):
        content["annotations"] = spoiled
        assert name().startswith("folder:")
    content["annotations"] = annotations
    for annotation in annotations[4:]:
        del annotation["area"]
        assert name(both).startswith("folder:")
        annotation["area"] = 1000.0
    assert name(both) == "coco-keypoints"
    assert name(split="train").startswith("folder:")
    counts["train"] = (2, 4)
    content["annotations"] = annotations[:4]  # it trains on no others
    assert name(split="train") == "coco-keypoints"


def change(content, *place, to):
    *path, last = place
    for key in path:
        content = content[key]
    content[last] = to


BAD = {
    "no_keys": (("images",), None, "is not in COCO's format: it has no images"),
    "no_person": (("categories", 0, "name"), "cat", "should have one category 'person', not 0"),
    "other_skeleton": (
        ("categories", 0, "keypoints"),
        ["eye", "paw"],
        "names 2 key points (eye, paw, …); these networks find COCO's 17 (nose, left_eye",
    ),
    "no_names": (
        ("categories", 0, "keypoints"),
        5,
        r"categories\[0\].keypoints should be a valid array, not 5",
    ),
    "fewer_points": (
        ("annotations", 2, "keypoints"),
        [1, 2, 2] * 14,
        r"annotations\[2\].keypoints should have at least 51 items, not 42",
    ),
    "other_image": (
        ("annotations", 1, "image_id"),
        5,
        "annotations have the image_id 5, not one of its images (7, 9)",
    ),
    "image_missing": (
        ("images", 1, "file_name"),
        "c.png",
        "1 of the 2 images of .* are not in .*val2017: c.png",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_annotations_are_reported_in_one_line(folder, content, case):
    place, value, message = BAD[case]
    root = folder(content)
    change(content, *place, to=value)
    if value is None:
        del content[place[0]]
    (root / "annotations" / "person_keypoints_val2017.json").write_text(json.dumps(content))
    message = message if ".*" in message else message.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(UserError, match=f"^[^\n]*{message}[^\n]*$"):
        read_people(root, "val")


@pytest.mark.parametrize("area", [None, 0, -5])
def test_areas_are_those_of_the_boxes_where_they_are_none(folder, content, area):
    """With an area of 0 the truth would score 0, with a negative one -100."""
    for annotation in content["annotations"]:
        annotation["area"] = area
        if area is None:
            del annotation["area"]
    people = read_people(folder(content), "val")
    assert (
        "person_keypoints_val2017.json: 4 areas were missing or not positive; the boxes' are"
        in (people.notes[1])
    )
    for annotation in people.truth.anns.values():
        assert annotation["area"] == annotation["bbox"][2] * annotation["bbox"][3]
    assert list(score_of_truth(people).values()) == pytest.approx([100] * 4)


def test_persons_count_by_their_labelled_key_points(folder, content):
    content["annotations"][0]["num_keypoints"] = 0  # would vanish
    content["annotations"][1]["keypoints"] = [0] * 51  # any pose in the box would do
    del content["annotations"][2]["num_keypoints"]
    people = read_people(folder(content), "val")
    assert [person.image for person in people.persons] == [7, 9, 9]
    counts = [annotation["num_keypoints"] for annotation in people.truth.anns.values()]
    assert counts == [17, 0, 17, 17]
    assert people.notes[1].endswith(
        ": num_keypoints of 3 persons was missing or wrong, and was recomputed from the "
        "labelled key points"
    )


@pytest.mark.parametrize(
    ("split", "what"),
    [("val", "not looked at, and count as missed"), ("train", "not trained on")],
)
def test_persons_whose_boxes_show_nothing_are_counted(folder, content, tmp_path, split, what):
    annotations = content["annotations"]
    annotations[0]["bbox"], annotations[1]["bbox"] = [10, 20, 0, 40], [900, 20, 30, 40]
    annotations += [annotations[0] | UNLABELLED, annotations[0] | CROWD]
    people = read_people(folder(content), split)
    assert [person.image for person in people.persons] == [9, 9]
    note = f"_{split}2017.json: 2 persons whose boxes have no area in their image are {what}"
    assert people.notes[-1].endswith(note)
    assert score_of_truth(people)["pose_ar"] == pytest.approx(50)
    # Detected ones are looked at wherever the true boxes are.
    (tmp_path / "boxes.json").write_text(json.dumps(DETECTIONS))
    detected = read_people(folder(content), "val", tmp_path / "boxes.json")
    assert not any("whose boxes" in line for line in detected.notes)


def test_ignored_persons_are_not_looked_for(folder, content):
    content["annotations"][0]["ignore"] = 1
    people = read_people(folder(content), "val")
    assert len(people.persons) == 3
    assert list(score_of_truth(people).values()) == pytest.approx([100] * 4)


def test_one_image_with_two_ids_and_sizes_that_are_not_the_images(folder, content):
    root = folder(content)
    file = root / "annotations" / "person_keypoints_val2017.json"
    twice = {**content, "images": [content["images"][0], {**content["images"][0], "id": 9}]}
    file.write_text(json.dumps(twice))
    with pytest.raises(UserError, match=r"several of its images have the file_name a\.png$"):
        read_people(root, "val")
    content["images"][1]["width"] = 320
    file.write_text(json.dumps(content))
    with pytest.raises(
        UserError, match=r"size for 1 of its images, .*b\.png \(320x120, but is 160x120\)$"
    ):
        read_people(root, "val")


@pytest.mark.parametrize("change", [{"keypoints": [0] * 51}, {"bbox": [10, 20, 0, 40]}])
def test_nobody_to_look_at(folder, content, change):
    for annotation in content["annotations"]:
        annotation.update(change)
    message = r"^[^\n]* has no person with key points and a box in its image$"
    with pytest.raises(UserError, match=message):
        read_people(folder(content), "val")


def test_a_file_without_annotations_is_nothing_to_train_on(folder, content):
    root = folder(content | {"annotations": []})
    with pytest.raises(UserError, match=r"_train2017\.json has no annotations to train on$"):
        read_people(root, "train")


def test_files_that_are_not_there_or_broken(folder, content, tmp_path):
    with pytest.raises(UserError, match=r"^cannot read [^\n]*; --data takes COCO's folder[^\n]*$"):
        read_people(tmp_path, "val")
    root = folder(content)
    (root / "annotations" / "person_keypoints_val2017.json").write_text('{"images": [')
    with pytest.raises(UserError, match=r"^[^\n]*_val2017.json is not valid JSON: [^\n]*$"):
        read_people(root, "val")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read .*; --boxes takes detected persons"),
        ("{}", "is not in COCO's format: it should be a valid array"),
        ('[{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]}]', r"\[0\] has no score"),
        (json.dumps([DETECTIONS[0] | {"bbox": [1, 2]}]), r"\[0\].bbox should have at least 4"),
        (json.dumps([DETECTIONS[0] | {"bbox": [1, 2, 0, 4]}]), "has no person in any of these 2"),
        (json.dumps([DETECTIONS[0] | {"score": "x"}]), r"\[0\].score should be a valid number"),
        (json.dumps(DETECTIONS[1:]), "has no person in any of these 2 images"),
    ],
)
def test_bad_boxes(folder, content, tmp_path, text, message):
    file = tmp_path / "boxes.json"
    if text:
        file.write_text(text)
    with pytest.raises(UserError, match=f"^[^\n]*{message}[^\n]*$"):
        read_people(folder(content), "val", file)


@pytest.mark.parametrize(
    "change_one",
    [
        lambda annotations: annotations[0].update(bbox=[1, 1, 50, 60]),
        lambda annotations: annotations[0].update(area=2000.0),
        lambda annotations: annotations[0]["keypoints"].__setitem__(0, 3.0),
        lambda annotations: annotations.append(annotations[0] | UNLABELLED),
        lambda annotations: annotations.append(annotations[0] | CROWD),
    ],
    ids=["box", "area", "key point", "unlabelled", "crowd"],
)
@pytest.mark.parametrize("boxes", [None, "boxes.json"])
def test_the_digest_follows_all_that_is_evaluated_by(folder, content, tmp_path, boxes, change_one):
    """Also those persons by whom detected ones are measured."""
    (tmp_path / "boxes.json").write_text(json.dumps(DETECTIONS))
    file = boxes and tmp_path / boxes
    before = read_people(folder(content), "val", file).identity
    change_one(content["annotations"])
    after = read_people(folder(content), "val", file).identity
    assert before.samples == after.samples == (1 if boxes else 4)
    assert before.digest != after.digest

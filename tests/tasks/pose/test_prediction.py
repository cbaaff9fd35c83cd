"""Poses in images without a data set: where persons are, and where their key points then lie."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mogabench import load
from mogabench.checkpoints import Description, save_checkpoint
from mogabench.errors import UserError
from mogabench.subject import Subject
from mogabench.tasks import get_task

SUBJECT = Subject(
    task="pose", method="simple_baseline", backbone="test_resnet", input_size=(64, 64)
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    network = get_task("pose").build(SUBJECT)
    stated = Description("pose", "simple_baseline", "test_resnet", input_size=(64, 64))
    file = tmp_path_factory.mktemp("weights") / "weights.pth"
    save_checkpoint(file, {"state_dict": network.state_dict(), "meta": stated.to_meta()})
    return file


def person_at(x, y):
    """An image, black but for noise of 64x64 pixels at that place, and the noise's box."""
    pixels = np.zeros((200, 240, 3), np.uint8)
    pixels[y : y + 64, x : x + 64] = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    return pixels, (x, y, 64, 64)


def test_key_points_move_with_the_person(weights):
    predictor = load(weights)
    (image, box), (moved, moved_box) = person_at(30, 40), person_at(90, 70)
    (here,) = predictor.predict(image, boxes=[box]).poses
    (there,) = predictor.predict(moved, boxes=[moved_box]).poses
    assert there["score"] == pytest.approx(here["score"])
    expected = here["keypoints"] + (60, 30, 0)
    np.testing.assert_allclose(there["keypoints"], expected, atol=1e-4)


def test_boxes_of_a_file_go_by_its_images_and_persons(weights, tmp_path):
    image, box = person_at(30, 40)
    for name in ("a.png", "b.png", "7.png"):
        Image.fromarray(image).save(tmp_path / name)
    person = {"image_id": 7, "category_id": 1, "bbox": box, "score": 0.5}
    named = {"file_name": "a.png", "category": "person", "category_id": 3, "image_id": 1}
    other = {"file_name": "b.png", "category": "dog", "category_id": 1, "image_id": 2}
    file = tmp_path / "boxes.json"
    flat = person | named | {"bbox": (240, 0, 0, 9)}
    file.write_text(json.dumps([person, person | named, person | named, person | other, flat]))
    predictor = load(weights, boxes=file)
    assert predictor.notes == ("boxes.json: left out 1 persons whose boxes have no area",)
    files = [str(tmp_path / name) for name in ("a.png", "b.png", "7.png")]
    found = [predictor.predict_item(item) for item in predictor.find(files)]
    by_file, none, by_number = found
    # A file states its image's id alone as well, and in Python.
    alone = [predictor.predict(file) for file in files]
    assert [one.to_json() for one in predictor.predict(files)] == [one.to_json() for one in found]
    assert [len(one.poses) for one in alone] == [1, 0, 1]
    assert alone[2].to_json()[0]["image_id"] == by_number.to_json()[0]["image_id"] == 7
    expected = predictor.predict(image, boxes=[(*box, 0.5)]).poses
    assert len(by_file.poses) == 1  # of two equal ones
    for found in (by_file, by_number):
        keypoints = found.poses[0]["keypoints"]
        np.testing.assert_allclose(keypoints, expected[0]["keypoints"], rtol=1e-5)
        assert found.poses[0]["score"] == pytest.approx(expected[0]["score"])
    assert none.poses == [] and "0 person(s)" in none.describe()
    assert none.draw().size == (320, 267)  # of 240x200


@pytest.mark.parametrize(
    ("files", "key", "message"),
    [
        # Ids of a data set's own, which running numbers are not.
        (
            ("adam.png", "zoe.png"),
            {},
            "identifies images by id, but the name adam.png gives no unique id",
        ),
        (
            ("7.png", "logo.png"),
            {},
            "identifies images by id, but the name logo.png gives no unique id",
        ),
        (
            ("7.png", "007.png"),
            {},
            "identifies images by id, but the name 7.png gives no unique id",
        ),
        (("8.png", "9.png"), {}, "these 2 images: its first box is of 7, and the first .* 8.png$"),
        (("b.png",), {"file_name": "sub/a.png"}, "its first box is of sub/a.png, .* is b.png$"),
        (
            ("a.png", "b.png"),
            {"file_name": "sub/a.png"},
            "has boxes for sub/a.png but not for a.png",
        ),
    ],
)
def test_boxes_of_other_images_than_these(weights, tmp_path, files, key, message):
    """Refused for all, before any is predicted."""
    image, box = person_at(30, 40)
    (tmp_path / "images").mkdir()
    for name in files:
        Image.fromarray(image).save(tmp_path / "images" / name)
    person = {"image_id": 7, "category_id": 1, "bbox": box, "score": 0.5}
    (tmp_path / "boxes.json").write_text(json.dumps([person | key]))
    predictor = load(weights, boxes=tmp_path / "boxes.json")
    with pytest.raises(UserError, match=message):
        predictor.find([str(tmp_path / "images")])
    if not key:
        with pytest.raises(UserError, match=r"but the name image-\d gives no unique id"):
            predictor.predict(image)
    assert len(predictor.predict(image, boxes=[box]).poses) == 1


def test_boxes_are_of_one_image_and_of_its_own_name(weights, tmp_path):
    image, box = person_at(30, 40)
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        Image.fromarray(image).save(tmp_path / folder / "7.png")
    files = [tmp_path / folder / "7.png" for folder in ("one", "other")]
    with pytest.raises(UserError, match=r"^boxes are of one image: give one at a time$"):
        load(weights).predict(files, boxes=[box])
    with pytest.raises(TypeError, match="unexpected keyword argument 'box'"):
        load(weights).predict(files, box=[box])
    assert len(load(weights).predict(files, boxes=None)) == 2
    person = {"image_id": 7, "category_id": 1, "bbox": box, "score": 0.5}
    (tmp_path / "boxes.json").write_text(json.dumps([person]))
    predictor = load(weights, boxes=tmp_path / "boxes.json")
    with pytest.raises(UserError, match=r"several of the items are called 7\.png"):
        predictor.predict(files)
    (tmp_path / "one" / "8.png").write_bytes(files[0].read_bytes())
    with pytest.raises(UserError, match="no person in any of these 1 images"):
        predictor.predict([tmp_path / "one" / "8.png"])
    assert predictor.predict([]) == []


def test_predictions_of_several_calls_are_of_images_with_numbers_of_their_own(weights, tmp_path):
    image, _ = person_at(30, 40)
    for name in ("2.png", "a.png", "b.png"):
        Image.fromarray(image).save(tmp_path / name)
    predictor = load(weights)
    given = ["b.png", image, "a.png", "2.png", "b.png", image]
    numbers = [
        predictor.predict(tmp_path / one if isinstance(one, str) else one).item.number
        for one in given
    ]
    assert numbers == [1, 2, 3, 4, 1, 5]  # 2 was another's before 2.png came
    both = predictor.predict([image, tmp_path / "a.png"])
    assert [one.item.number for one in both] == [6, 3]


def test_an_image_that_a_file_of_boxes_may_not_mean_is_refused(weights, tmp_path):
    image, box = person_at(30, 40)
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "b.png", "sub/a.png"):
        Image.fromarray(image).save(tmp_path / name)
    person = {"image_id": 7, "category_id": 1, "bbox": box, "score": 0.5}
    (tmp_path / "boxes.json").write_text(json.dumps([person | {"file_name": "sub/a.png"}]))
    predictor = load(weights, boxes=tmp_path / "boxes.json")
    for given in (image, Image.fromarray(image)):
        with pytest.raises(UserError, match=r"has boxes for sub/a\.png but not for image-\d: "):
            predictor.predict(given)
    with pytest.raises(UserError, match=r"has boxes for sub/a\.png but not for a\.png: "):
        predictor.predict(tmp_path / "sub" / "a.png")
    assert predictor.predict(tmp_path / "b.png").poses == []
    # Of a folder with both it is clear which one is meant.
    found = [len(predictor.predict_item(item).poses) for item in predictor.find([str(tmp_path)])]
    assert sorted(found) == [0, 0, 1]


@pytest.mark.parametrize(
    "boxes", [[(0, 0, 10, 0)], (0, 0, 10, 10), [(0, 0, 10, np.nan)], [(np.inf, 0, 10, 10)]]
)
def test_boxes_that_are_none(weights, tmp_path, boxes):
    image, _ = person_at(30, 40)
    with pytest.raises(UserError, match="is not the box of a person"):
        load(weights).predict(image, boxes=boxes)
    (tmp_path / "boxes.json").write_text("[]")
    with pytest.raises(UserError, match="has no person"):
        load(weights, boxes=tmp_path / "boxes.json")

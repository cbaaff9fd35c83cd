import json

import cv2
import numpy as np
import pytest

from mogabench.tasks.pose.skeleton import KEYPOINTS

SIZE = (120, 160)
"""Height and width of the images."""


def person(number, image, points, **changes):
    """An annotation of a person whose key points ``(17, 2)`` are all labelled."""
    low, high = points.min(0), points.max(0)
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "area": 1000.0,
        "iscrowd": 0,
        "num_keypoints": 17,
        "keypoints": np.column_stack([points, np.full(17, 2)]).ravel().tolist(),
    } | changes


@pytest.fixture
def points():
    """The key points of four persons, ``(4, 17, 2)``, the second pair right of the first."""
    random = np.random.default_rng(0)
    left = random.uniform((10, 10), (70, 110), (2, 17, 2))
    return np.concatenate([left, random.uniform((90, 10), (150, 110), (2, 17, 2))])


@pytest.fixture
def content(points):
    """COCO's annotations of two images with two of the persons each."""
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]},
            {"id": 9, "file_name": "b.png", "height": SIZE[0], "width": SIZE[1]},
        ],
        "annotations": [
            person(0, 7, points[0]),
            person(1, 7, points[2]),
            person(2, 9, points[1]),
            person(3, 9, points[3]),
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(KEYPOINTS)}],
    }


@pytest.fixture
def folder(tmp_path):
    """Makes COCO's folder of some annotations, the same to train on and to evaluate."""

    def make(content):
        random = np.random.default_rng(0)
        for split in ("train", "val"):
            (tmp_path / f"{split}2017").mkdir(exist_ok=True)
            for image in content["images"]:
                pixels = random.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
                cv2.imwrite(str(tmp_path / f"{split}2017" / image["file_name"]), pixels)
            file = tmp_path / "annotations" / f"person_keypoints_{split}2017.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(content))
        return tmp_path

    return make

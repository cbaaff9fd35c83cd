"""Persons in COCO's files: annotated ones, and those that a detector found."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools.coco import COCO

from mogabench.errors import UserError
from mogabench.pose.skeleton import KEYPOINTS
from mogabench.records import Data

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.pose.geometry import Array

_YEAR = "2017"

COCO_NAME = "coco-keypoints"
"""What the paper's figures were measured on: COCO's validation images, with detected persons."""

_COCO_VALIDATION = (5000, 6352)
"""Images, and persons with key points."""

_IMAGE_KEYS = ("id", "file_name", "width", "height")
_PERSON_KEYS = ("image_id", "category_id", "bbox", "area", "iscrowd", "keypoints", "num_keypoints")
_DETECTION_KEYS = ("image_id", "category_id", "bbox", "score")


@dataclass(frozen=True)
class Person:
    """Somebody in an image.

    Attributes:
        image: The image's number in COCO.
        file: Where it lies.
        box: ``(x, y, width, height)`` in pixels.
        score: How sure the detector is; 1 for an annotated box.
        keypoints: ``(17, 3)``: x, y, and 0 for unlabelled, 1 for hidden, 2 for visible; None for a
            detected person.
    """

    image: int
    file: Path
    box: Array
    score: float = 1.0
    keypoints: Array | None = None


@dataclass(frozen=True)
class People:
    """One part of a data set.

    Attributes:
        persons: Whom to look at.
        truth: The annotations, as pycocotools has them.
        identity: What a record calls the data.
    """

    persons: tuple[Person, ...]
    truth: COCO
    identity: Data


def read_people(root: Path, split: str, boxes: Path | None = None) -> People:
    """Reads ``annotations/person_keypoints_<split>2017.json``; the images are in ``<split>2017/``.

    Args:
        root: COCO's folder.
        split: ``train`` or ``val``.
        boxes: Detected persons in COCO's results format, to look at instead of the annotated ones.

    Raises:
        UserError: A file is missing or malformed, images are missing, or nobody has key points.
    """
    file = root / "annotations" / f"person_keypoints_{split}{_YEAR}.json"
    content = _read(file)
    if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= set(content):
        raise UserError(f"{file} is not in COCO's format: images, annotations, categories")
    category = _person_category(file, content["categories"])
    images = _checked(file, "image", content["images"], _IMAGE_KEYS)
    annotations = _checked(file, "annotation", content["annotations"], ("category_id",))
    annotations = [a for a in annotations if a["category_id"] == category]
    _checked(file, "annotation", annotations, _PERSON_KEYS)
    files = _image_files(root / f"{split}{_YEAR}", images)
    persons = _annotated(file, annotations, images, files)
    count = len(persons)
    if boxes is not None:
        persons = _detected(boxes, category, files)
    is_coco = (len(files), count) == _COCO_VALIDATION
    name = COCO_NAME if is_coco else f"folder:{root.resolve().name}"
    if split == "val" and boxes is None:
        name += "-true-boxes"
    return People(
        tuple(persons),
        _truth(content, annotations),
        Data(
            name=name,
            split="validation" if split == "val" else split,
            samples=len(persons),
            digest=_digest(persons),
        ),
    )


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"there is no {file}; --data takes COCO's folder, with annotations/"
            f"person_keypoints_val{_YEAR}.json and val{_YEAR}/, or sample"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}") from None


def _person_category(file: Path, categories: Any) -> int:
    listed = _checked(file, "category", categories, ("id", "name"))
    persons = [category for category in listed if category["name"] == "person"]
    if len(persons) != 1:
        raise UserError(f"{file} should have one category 'person', not {len(persons)}")
    names = persons[0].get("keypoints", KEYPOINTS)
    if tuple(names) != KEYPOINTS:
        raise UserError(
            f"{file} names {len(names)} key points ({', '.join(names[:3])}, …); these networks "
            f"find COCO's {len(KEYPOINTS)} ({', '.join(KEYPOINTS[:3])}, …)"
        )
    return int(persons[0]["id"])


def _checked(file: Path, kind: str, items: Any, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """The items, if each has the keys."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UserError(f"{file} is not in COCO's format: no list of objects, one per {kind}")
    for number, item in enumerate(items):
        for key in keys:
            if key not in item:
                raise UserError(f"{file}: {kind} {item.get('id', number)} has no {key}")
    return items


def _image_files(folder: Path, images: list[dict[str, Any]]) -> dict[int, Path]:
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    missing = [image["file_name"] for image in images if image["file_name"] not in there]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(images)} images are missing in {folder}, such as {missing[0]}"
        )
    return {image["id"]: folder / image["file_name"] for image in images}


def _annotated(
    file: Path,
    annotations: list[dict[str, Any]],
    images: list[dict[str, Any]],
    files: dict[int, Path],
) -> list[Person]:
    """The persons to train on and to look for: single, with a box and a labelled key point."""
    sizes = {image["id"]: (image["width"], image["height"]) for image in images}
    persons = []
    for annotation in annotations:
        numbers = annotation["keypoints"]
        if len(numbers) != 3 * len(KEYPOINTS):
            raise UserError(
                f"{file}: annotation {annotation.get('id')} has {len(numbers)} numbers in "
                f"keypoints, not 3 x {len(KEYPOINTS)}"
            )
        if annotation["image_id"] not in files:
            raise UserError(
                f"{file}: annotation {annotation.get('id')} is of image "
                f"{annotation['image_id']}, which is not listed"
            )
        image = annotation["image_id"]
        box = _within(annotation["bbox"], sizes[image])
        # COCO also annotates crowds, and persons too small for key points.
        if annotation["iscrowd"] or not annotation["num_keypoints"] or min(box[2:]) <= 0:
            continue
        points = np.array(numbers, dtype=float).reshape(-1, 3)
        persons.append(Person(image, files[image], box, keypoints=points))
    if not persons:
        raise UserError(f"{file} has no person with key points")
    return persons


def _within(box: list[float], size: tuple[int, int]) -> Array:
    """The part of a box inside of the image, to the centre of its last pixel, as mmpose has it."""
    x, y = max(0.0, box[0]), max(0.0, box[1])
    right = min(size[0] - 1, x + max(0.0, box[2] - 1))
    bottom = min(size[1] - 1, y + max(0.0, box[3] - 1))
    return np.array([x, y, right - x, bottom - y])


def _detected(file: Path, category: int, files: dict[int, Path]) -> list[Person]:
    if not file.is_file():
        raise UserError(f"there is no file {file} (--boxes takes detections in COCO's format)")
    content = _checked(file, "detection", _read(file), _DETECTION_KEYS)
    found = [d for d in content if d["category_id"] == category and d["image_id"] in files]
    if not found:
        raise UserError(f"{file} has no person in any of these {len(files)} images")
    return [
        Person(d["image_id"], files[d["image_id"]], np.array(d["bbox"], dtype=float), d["score"])
        for d in found
    ]


def _truth(content: dict[str, Any], annotations: list[dict[str, Any]]) -> COCO:
    # pycocotools takes a match with annotation 0 for none.
    numbered = [annotation | {"id": n} for n, annotation in enumerate(annotations, 1)]
    truth = COCO()
    truth.dataset = content | {"annotations": numbered}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
    return truth


def _digest(persons: list[Person]) -> str:
    digest = hashlib.sha256()
    for person in persons:
        points = [] if person.keypoints is None else person.keypoints.tolist()
        line = [person.file.name, person.box.tolist(), person.score, points]
        digest.update(f"{json.dumps(line)}\n".encode())
    return digest.hexdigest()

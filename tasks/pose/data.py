"""Persons in COCO's files: annotated ones, and those that a detector found."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired

import numpy as np
from pycocotools.coco import COCO
from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from mogabench.data import coco
from mogabench.data.identity import data_name, data_root
from mogabench.engine.coco_files import CocoFiles
from mogabench.errors import UserError
from mogabench.records import Data
from mogabench.tasks.pose.boxes import read_boxes
from mogabench.tasks.pose.sample import sample_figures
from mogabench.tasks.pose.skeleton import KEYPOINTS

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.data.views import Array

COCO_NAME = "coco-keypoints"
"""What the paper's figures are of: COCO, whose validation images are with detected persons."""

_COCO = {"train": (118_287, 149_813), "val": (5000, 6352)}
"""Images, and persons with key points (MindlessBoid/single-person-pose-estimation counts both)."""

_COCO_SINGLE = 10_777
"""Single persons to evaluate on, by a log in chensnathan/YOLOF, issue 27."""

_LEAST_COVERED = 0.9
"""Of the images with persons, the share in which a file of detected boxes must have some."""

_EXPECTED = (
    "--data takes COCO's folder, with annotations/person_keypoints_{train,val}2017.json, "
    "train2017/ and val2017/, or sample; --annotations and --images take other names"
)


class _File(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # pydantic's way

    images: list[coco.Image]
    annotations: NotRequired[list[_AnyAnnotation]]
    categories: list[_Category]


class _Category(coco.Category):
    keypoints: NotRequired[list[str]]


class _AnyAnnotation(TypedDict):
    """Of any category; only those of persons must have key points."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    category_id: coco.Id


class _Annotation(coco.Annotation):
    area: NotRequired[coco.Number]
    iscrowd: NotRequired[Literal[0, 1]]
    ignore: NotRequired[Literal[0, 1]]
    keypoints: Annotated[
        list[coco.Number],
        Field(min_length=3 * len(KEYPOINTS), max_length=3 * len(KEYPOINTS)),
    ]
    num_keypoints: NotRequired[int]


class _Persons(TypedDict):
    """Those among a file's annotations, by their place."""

    annotations: dict[int, _Annotation]


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
        image_size: ``(height, width)`` that the annotations say; None where they do not.
    """

    image: int
    file: Path
    box: Array
    score: float = 1.0
    keypoints: Array | None = None
    image_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class People:
    """One part of a data set.

    Attributes:
        persons: Whom to look at.
        truth: The annotations, as pycocotools has them.
        identity: What a record calls the data.
        notes: What was repaired, a line for each kind.
        annotated: Whether the file annotates its images, which those of test sets do not.
    """

    persons: tuple[Person, ...]
    truth: COCO
    identity: Data
    notes: tuple[str, ...] = ()
    annotated: bool = True

    @property
    def category(self) -> int:
        """The id of the category of persons."""
        number: int = self.truth.getCatIds(catNms=["person"])[0]
        return number


def read_people(
    data: str | Path,
    split: Literal["train", "val"],
    boxes: Path | None = None,
    files: CocoFiles | None = None,
) -> People:
    """Reads ``annotations/person_keypoints_<split>2017.json``; the images are in ``<split>2017/``.

    Args:
        data: COCO's folder, or ``sample``.
        split: ``train`` or ``val``.
        boxes: Detected persons in COCO's results format, to look at instead of the annotated ones;
            needed where nobody is annotated. Images and categories go by their names there, or ids.
        files: Other names of the files; None for the usual ones.

    Raises:
        UserError: A file is missing or malformed, images are missing, or nobody has key points
            and a box.
    """
    root = data_root(data, sample_figures)
    file, folder = (files or CocoFiles()).find(root, split, "person_keypoints")
    read, _ = coco.read(file, _File, _EXPECTED)
    content: dict[str, Any] = {"annotations": [], **read}
    category = _person_category(file, content["categories"])
    images = content["images"]
    annotations, repairs = _repair(file, content, category)
    truth = {**content, "annotations": annotations}
    filled = coco.fill_areas(truth)
    coco.check_images(file, images, folder)
    coco.check_sizes(file, images, folder)
    paths = {image["id"]: folder / image["file_name"] for image in images}
    persons = known = _read_annotated(annotations, images, paths)
    annotated = bool(content["annotations"])
    if split == "train" and not annotated:
        raise UserError(f"{file} has no annotations to train on")
    if annotated and not persons:
        raise UserError(f"{file} has no person with key points and a box in its image")
    notes = [f"{file.name}: {line}" for line in (*repairs, *filled)]
    if boxes is not None:
        persons = _read_detected(boxes, category, images, paths, notes)
    elif not annotated:
        raise UserError(f"{file} has no annotations, so --boxes FILE must say where persons are")
    else:
        notes += [f"{file.name}: {line}" for line in _note_unseen(annotations, known, split)]
    sizes = {image["id"]: (image["height"], image["width"]) for image in images}
    persons = [replace(person, image_size=sizes[person.image]) for person in persons]
    is_coco = _is_coco(split, truth, known, persons) and (split == "train" or not filled)
    name = data_name(root, COCO_NAME if is_coco else None)
    if split == "val" and boxes is None:
        name += "-true-boxes"
    return People(
        tuple(persons),
        coco.fill_index(COCO(), truth),
        Data(
            name=name,
            split=split,
            samples=len(persons),
            digest=_digest(persons, annotations, paths),
        ),
        tuple(notes),
        annotated,
    )


def _repair(
    file: Path, content: dict[str, Any], category: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """The annotations of persons, sound or repaired, and what was repaired."""
    of_persons = {
        place: annotation
        for place, annotation in enumerate(content["annotations"])
        if annotation["category_id"] == category
    }
    valid = coco.validate(file, _Persons, {"annotations": of_persons})["annotations"]
    persons: dict[str, Any] = {
        **content,
        "annotations": [{"iscrowd": 0, **item} for item in valid.values()],
    }
    coco.check_references(file, persons)
    coco.check_pixels(file, persons["annotations"], content["images"])
    repairs = [*coco.renumber(persons), *coco.ignored_to_crowds(persons)]
    return persons["annotations"], [*repairs, *_count_keypoints(persons["annotations"])]


def _is_coco(
    split: str, truth: dict[str, Any], known: list[Person], looked_at: list[Person]
) -> bool:
    """Whether these are COCO's images and persons, to evaluate looked at in most of the images.

    Args:
        split: ``train``, which takes single persons with key points alone, or ``val``.
        truth: The images and annotations, by all of which the precision is computed.
        known: The single persons with key points.
        looked_at: The annotated or detected ones.
    """
    images, with_keypoints = _COCO[split]
    is_whole = coco.are_cocos(truth["images"], images) and len(known) == with_keypoints
    if split == "train":
        return is_whole
    annotations = truth["annotations"]
    crowds = sum(annotation["iscrowd"] for annotation in annotations)
    with_persons = {a["image_id"] for a in annotations if a["num_keypoints"]}
    covered = with_persons & {person.image for person in looked_at}
    return (
        is_whole
        and len(annotations) - crowds == _COCO_SINGLE
        and crowds > 0
        and len(covered) >= _LEAST_COVERED * len(with_persons)
    )


def _count_keypoints(annotations: list[dict[str, Any]]) -> list[str]:
    """Counts labelled key points: pycocotools looks for nobody who is said to have none."""
    wrong = 0
    for annotation in annotations:
        count = sum(flag > 0 for flag in annotation["keypoints"][2::3])
        wrong += annotation.get("num_keypoints") != count
        annotation["num_keypoints"] = count
    text = (
        f"num_keypoints of {wrong} persons was missing or wrong, and was recomputed from the "
        "labelled key points"
    )
    return [text] if wrong else []


def _person_category(file: Path, categories: list[_Category]) -> int:
    persons = [category for category in categories if category["name"] == "person"]
    if len(persons) != 1:
        raise UserError(f"{file} should have one category 'person', not {len(persons)}")
    names = persons[0].get("keypoints", KEYPOINTS)
    if tuple(names) != KEYPOINTS:
        raise UserError(
            f"{file} names {len(names)} key points ({', '.join(names[:3])}, …); these networks "
            f"find COCO's {len(KEYPOINTS)} ({', '.join(KEYPOINTS[:3])}, …)"
        )
    return persons[0]["id"]


def _read_annotated(
    annotations: list[dict[str, Any]],
    images: list[coco.Image],
    files: dict[int, Path],
) -> list[Person]:
    """The persons to train on and to look for: single, with a box and a labelled key point."""
    sizes = {image["id"]: (image["width"], image["height"]) for image in images}
    persons = []
    for annotation in annotations:
        image = annotation["image_id"]
        box = _within(annotation["bbox"], sizes[image])
        # COCO also annotates crowds, and persons too small for key points.
        if annotation["iscrowd"] or not annotation["num_keypoints"] or min(box[2:]) <= 0:
            continue
        points = np.array(annotation["keypoints"], dtype=float).reshape(-1, 3)
        persons.append(Person(image, files[image], box, keypoints=points))
    return persons


def _note_unseen(
    annotations: list[dict[str, Any]], known: list[Person], split: Literal["train", "val"]
) -> list[str]:
    """Counts the single persons with key points whose boxes do not show them."""
    labelled = sum(one["num_keypoints"] > 0 and not one["iscrowd"] for one in annotations)
    what = "not trained on" if split == "train" else "not looked at, and count as missed"
    text = f"{labelled - len(known)} persons whose boxes have no area in their image are {what}"
    return [text] if labelled > len(known) else []


def _within(box: list[float], size: tuple[int, int]) -> Array:
    """The part of a box between the centres of the image's first and last pixel (mmpose 0.29)."""
    x, y = max(0.0, box[0]), max(0.0, box[1])
    right = min(size[0] - 1, x + max(0.0, box[2]))
    bottom = min(size[1] - 1, y + max(0.0, box[3]))
    return np.array([x, y, right - x, bottom - y])


def _read_detected(
    file: Path,
    category: int,
    images: list[coco.Image],
    files: dict[int, Path],
    notes: list[str],
) -> list[Person]:
    """The persons in the images; the notes get who was left out."""
    ids = {key: image["id"] for image in images for key in (image["id"], image["file_name"])}
    found: list[Person] = []
    strange = 0
    for image, boxes in read_boxes(file, category, notes).items():
        if image not in ids:
            strange += len(boxes)
            continue
        number = ids[image]
        found += [Person(number, files[number], np.array(b[:4]), b[4]) for b in boxes]
    if not found:
        raise UserError(f"{file} has no person in any of these {len(files)} images")
    if strange:
        notes.append(f"{file.name}: left out {strange} persons in other images")
    return found


def _digest(
    persons: list[Person], annotations: list[dict[str, Any]], files: dict[int, Path]
) -> str:
    """Follows who is looked at, and all of the annotations that precision is computed from."""
    lines: list[list[Any]] = [[one.file.name, one.box.tolist(), one.score] for one in persons]
    for one in annotations:
        compared = (one[key] for key in ("bbox", "area", "iscrowd", "keypoints"))
        lines.append([files[one["image_id"]].name, *compared])
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{json.dumps(line)}\n".encode())
    return digest.hexdigest()

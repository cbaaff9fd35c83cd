"""Detected persons in COCO's results format."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NotRequired

from typing_extensions import TypedDict

from mogabench.data import coco

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class _Detection(TypedDict):
    """A box in COCO's results format; `predict` adds the names of category and file."""

    image_id: coco.Id
    category_id: coco.Id
    bbox: coco.Box
    score: coco.Number
    category: NotRequired[str]
    file_name: NotRequired[str]


def read_boxes(
    file: Path, category: int, notes: list[str]
) -> Mapping[str | int, list[list[float]]]:
    """The boxes of persons, ``(x, y, width, height, score)``, by their images.

    Images with other objects alone have none.

    Args:
        file: Names image and category, or else numbers them.
        category: The number of the persons' category.
        notes: Gets how many have no area: detectors cut boxes off at the image's edges.

    Returns:
        By the image's file where it is named, else by its id.

    Raises:
        UserError: The file cannot be read, or its boxes are shares of the image.
    """
    detections, _ = coco.read(
        file, list[_Detection], "--boxes takes detected persons in COCO's results format"
    )
    coco.check_pixels(file, detections)
    found: dict[str | int, list[list[float]]] = defaultdict(list)
    flat = 0
    for one in detections:
        is_named = "category" in one
        is_person = one["category"] == "person" if is_named else one["category_id"] == category
        boxes = found[one.get("file_name", one["image_id"])]
        if is_person and min(one["bbox"][2:]) <= 0:
            flat += 1
        elif is_person:
            boxes.append([*one["bbox"], one["score"]])
    if flat:
        notes.append(f"{file.name}: left out {flat} persons whose boxes have no area")
    return dict(found)

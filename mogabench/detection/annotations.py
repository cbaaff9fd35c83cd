"""Reading COCO's annotation files: sound, repaired, or refused in one line."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mogabench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

_SECTIONS = ("images", "annotations", "categories")
_LISTED = 3


@dataclass(frozen=True)
class Annotations:
    """A COCO data set in memory.

    Attributes:
        path: The file it was read from.
        content: What the file says, repaired.
        digest: SHA-256 of the file.
        repairs: What was wrong with the file and has been put right.
    """

    path: Path
    content: dict[str, Any]
    digest: str
    repairs: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The categories' names, in the order of their ids."""
        categories = sorted(self.content["categories"], key=lambda item: item["id"])
        return tuple(item["name"] for item in categories)


def read_annotations(path: Path, images: Path) -> Annotations:
    """Reads an annotation file and checks it against the folder of its images.

    Two faults are repaired: annotations whose ids start at 0, the first of which pycocotools would
    never match, are counted from 1; boxes without an area are left out.

    Args:
        path: A file such as ``instances_val2017.json``.
        images: The folder its ``file_name`` entries lie in.

    Raises:
        UserError: The file is missing or broken, is no COCO file, contradicts itself, or names
            images that are not there.
    """
    content, digest = _parsed(path)
    _check_sections(path, content)
    _check_references(path, content)
    _check_images(path, content, images)
    repairs = [*_renumbered(content), *_without_empty_boxes(content)]
    if not content["annotations"]:
        raise UserError(f"{path} annotates nothing: it lists no box with an area")
    return Annotations(path, content, digest, tuple(repairs))


def _parsed(path: Path) -> tuple[Any, str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the annotations {path}: {error.strerror}") from None
    try:
        return json.loads(raw), hashlib.sha256(raw).hexdigest()
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from None


def _check_sections(path: Path, content: Any) -> None:
    for name in _SECTIONS:
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise UserError(
                f"{path} is not a COCO annotation file: it needs the lists {', '.join(_SECTIONS)}, "
                f"and has no {name}"
            )
    for name in ("images", "categories"):
        if not content[name]:
            raise UserError(f"{path} lists no {name}")
    needed = {
        "images": ("id", "file_name", "height", "width"),
        "annotations": ("id", "image_id", "category_id", "bbox"),
        "categories": ("id", "name"),
    }
    for name, keys in needed.items():
        for place, item in enumerate(content[name]):
            missing = [key for key in keys if not isinstance(item, dict) or key not in item]
            if missing:
                raise UserError(f"{path}: {name}[{place}] has no {', '.join(missing)}")


def _check_references(path: Path, content: dict[str, Any]) -> None:
    """Every annotation belongs to an image and a category of the file; ids are told apart."""
    for name in _SECTIONS:
        repeated = [key for key, n in Counter(x["id"] for x in content[name]).items() if n > 1]
        if repeated:
            raise UserError(f"{path}: several of its {name} have the id {_some(repeated)}")
    for key, name in (("category_id", "categories"), ("image_id", "images")):
        known = {item["id"] for item in content[name]}
        strange = sorted({item[key] for item in content["annotations"]} - known)
        if strange:
            raise UserError(
                f"{path}: annotations have the {key} {_some(strange)}, which is not among its "
                f"{name} ({_some(sorted(known))})"
            )


def _check_images(path: Path, content: dict[str, Any], images: Path) -> None:
    if not images.is_dir():
        raise UserError(f"there is no folder {images} with the images of {path.name}")
    there = {item.name for item in images.iterdir()}
    # A name may lie in a folder below, which the listing does not show.
    missing = [
        item["file_name"]
        for item in content["images"]
        if item["file_name"] not in there and not (images / item["file_name"]).is_file()
    ]
    if missing:
        raise UserError(
            f"{len(missing)} of the {len(content['images'])} images of {path.name} are not in "
            f"{images}: {_some(missing)}"
        )


def _renumbered(content: dict[str, Any]) -> list[str]:
    annotations = content["annotations"]
    if all(item["id"] != 0 for item in annotations):
        return []
    content["annotations"] = [{**item, "id": item["id"] + 1} for item in annotations]
    return ["its annotations' ids start at 0 and were counted from 1 instead"]


def _without_empty_boxes(content: dict[str, Any]) -> list[str]:
    whole = content["annotations"]
    content["annotations"] = [
        # A file without masks may leave the area out; it is the box's then.
        {"iscrowd": 0, "area": item["bbox"][2] * item["bbox"][3], **item}
        for item in whole
        if len(item["bbox"]) == 4 and min(item["bbox"][2:]) > 0
    ]
    dropped = len(whole) - len(content["annotations"])
    return [f"{dropped} boxes without an area were left out"] if dropped else []


def _some(items: list[Any]) -> str:
    listed = ", ".join(map(str, items[:_LISTED]))
    return f"{listed}, …" if len(items) > _LISTED else listed

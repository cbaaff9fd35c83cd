"""Reading COCO's annotation files: sound, repaired, or refused in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from mogabench.data import coco
from mogabench.errors import UserError
from mogabench.tasks.detection.masks import check_masks, mask_area

if TYPE_CHECKING:
    from pathlib import Path

_EXPECTED = (
    "--data takes COCO's folder, with annotations/instances_{train,val}2017.json, train2017/ and "
    "val2017/, or sample; --annotations and --images take other names"
)


class _Annotation(coco.Annotation):
    area: NotRequired[coco.Number]
    iscrowd: NotRequired[Literal[0, 1]]
    ignore: NotRequired[Literal[0, 1]]


class _File(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # pydantic's way

    images: Annotated[list[coco.Image], Field(min_length=1)]
    annotations: NotRequired[list[_Annotation]]
    categories: Annotated[list[coco.Category], Field(min_length=1)]


@dataclass(frozen=True)
class Annotations:
    """A COCO data set in memory.

    Attributes:
        path: The file it was read from.
        content: What the file says, repaired.
        listed: How many annotations the file has; none, or not even a list, in those of test sets.
        digest: SHA-256 of the file.
        repairs: What was wrong with the file and has been put right.
    """

    path: Path
    content: dict[str, Any]
    listed: int
    digest: str
    repairs: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The categories' names, in the order of their ids."""
        return tuple(item["name"] for item in self.content["categories"])

    @property
    def class_ids(self) -> tuple[int, ...]:
        """The categories' ids, likewise."""
        return tuple(item["id"] for item in self.content["categories"])


def read_annotations(path: Path, images: Path, *, masks: bool = False) -> Annotations:
    """Reads an annotation file and checks it against the folder of its images.

    Repaired, and said in `Annotations.repairs`: ids below 1, for which pycocotools would take a
    match for none, and repeated ones are numbered anew from 1; areas that are missing, 0 or
    negative become those of the masks or boxes; boxes without an area in their image, and objects
    whose masks have none, are left out.

    Args:
        path: A file such as ``instances_val2017.json``.
        images: The folder its ``file_name`` entries lie in.
        masks: Whether every annotation that stays must have one.

    Raises:
        UserError: The file is missing or broken, is no COCO file, contradicts itself, or names
            images that are not there.
    """
    file, digest = coco.read(path, _File, _EXPECTED)
    content: dict[str, Any] = {"annotations": [], **file}
    listed = len(content["annotations"])
    coco.check_references(path, content)
    coco.check_images(path, file["images"], images)
    # pycocotools lists categories as the file does, and would number classes by that.
    content["categories"] = sorted(file["categories"], key=lambda item: item["id"])
    dropped = _without_empty_boxes(content)
    coco.check_sizes(path, file["images"], images)
    coco.check_pixels(path, content["annotations"], content["images"])
    if masks:
        check_masks(path, content)
    repairs = [*coco.renumber(content), *dropped, *coco.ignored_to_crowds(content)]
    repairs += coco.fill_areas(content, mask_area if masks else None)
    if listed and all(item["iscrowd"] for item in content["annotations"]):
        raise UserError(
            f"{path} has no usable annotation: apart from crowds (iscrowd 1), no object has an "
            "area inside its image"
        )
    return Annotations(path, content, listed, digest, tuple(repairs))


def check_same_classes(train: Annotations, test: Annotations) -> None:
    """Makes sure that what is learned is what is looked for.

    Raises:
        UserError: The two have other categories, or number them in another order.
    """
    if train.classes != test.classes:
        raise UserError(
            f"{train.path} has the categories {', '.join(train.classes)}, but {test.path.name} has "
            f"{', '.join(test.classes)}"
        )


def _without_empty_boxes(content: dict[str, Any]) -> list[str]:
    whole = content["annotations"]
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    content["annotations"] = [
        {"iscrowd": 0, **item} for item in whole if _is_seen(item["bbox"], sizes[item["image_id"]])
    ]
    dropped = len(whole) - len(content["annotations"])
    return [f"{dropped} boxes without an area in their image were left out"] if dropped else []


def _is_seen(box: list[float], image_size: tuple[int, int]) -> bool:
    """Whether a box has an area, some of it in its image of that width and height."""
    x, y, width, height = box
    inside = -width < x < image_size[0] and -height < y < image_size[1]
    return inside and min(width, height) > 0

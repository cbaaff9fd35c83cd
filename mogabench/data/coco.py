"""Reading and validating COCO's files, for detection and pose."""

from __future__ import annotations

import codecs
import hashlib
from collections import Counter
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pycocotools.coco import COCO
from pydantic import ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from mogabench.data.folders import evenly_spaced
from mogabench.data.images import ImageError, header_size
from mogabench.errors import UserError, list_some
from mogabench.files import is_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

Id = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Box = Annotated[list[Number], Field(min_length=4, max_length=4)]
"""``(x, y, width, height)`` in pixels."""

_DISTINCT = (
    ("images", "id"),
    ("images", "file_name"),
    ("categories", "id"),
    ("categories", "name"),  # the heads' classes are known by it
)

_Content = TypeVar("_Content")
_Coco = TypeVar("_Coco", bound=COCO)


class Image(TypedDict):
    """An image; keys that are not named here are kept, in this and in all the other objects."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # pydantic's way

    id: Id
    file_name: str
    height: PositiveInt
    width: PositiveInt


class Category(TypedDict):
    """A class of objects."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    id: Id
    name: str


class Annotation(TypedDict):
    """An object in an image."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    id: Id
    image_id: Id
    category_id: Id
    bbox: Box


def read(path: Path, schema: type[_Content], expected: str) -> tuple[_Content, str]:
    """Reads a JSON file.

    Args:
        path: The file.
        schema: What it should hold, as pydantic understands types.
        expected: What the user should have given, said where the file cannot be read.

    Returns:
        The content, and the file's SHA-256.

    Raises:
        UserError: The file cannot be read, is no JSON, or does not hold what it should.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; {expected}") from None
    content = raw.removeprefix(codecs.BOM_UTF8)
    return validate(path, schema, content), hashlib.sha256(raw).hexdigest()


def validate(path: Path, schema: type[_Content], content: Any) -> _Content:
    """The content of a file, if it is what it should be.

    Args:
        path: The file, for the error.
        schema: What it should hold, as pydantic understands types.
        content: JSON as bytes, or what became of it.

    Raises:
        UserError: It does not hold that.
    """
    adapter: TypeAdapter[_Content] = TypeAdapter(schema)
    parse = adapter.validate_json if isinstance(content, bytes) else adapter.validate_python
    try:
        return parse(content)
    except ValidationError as error:
        raise UserError(_error_line(path, error)) from None


def _error_line(path: Path, error: ValidationError) -> str:
    """The first fault in one line."""
    fault = error.errors(include_url=False)[0]
    message = fault["msg"].partition(" ")[2].replace(" after validation", "")
    if fault["type"] == "json_invalid":
        return f"{path} is not valid JSON: {message.removeprefix('JSON: ')}"
    # A union's members are no place in the file.
    place = [part for part in fault["loc"] if isinstance(part, int) or part.isidentifier()]
    if fault["type"] == "missing":
        message = f"has no {place.pop()}"
    elif " not " not in message:
        message += f", not {repr(fault['input'])[:40]}"
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return f"{path} is not in COCO's format: {where.lstrip('.') or 'it'} {message}"


def check_images(path: Path, images: list[Image], folder: Path) -> None:
    """Makes sure that the images are there.

    Args:
        path: The file that lists them, for the error.
        images: What it lists.
        folder: Where they should lie.

    Raises:
        UserError: There is no such folder, or images are missing in it.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} with the images of {path.name}")
    there = {item.name for item in folder.iterdir()}
    # A name may lie in a folder below, which the listing does not show.
    missing = [
        image["file_name"]
        for image in images
        if image["file_name"] not in there and not is_file(folder / image["file_name"])
    ]
    if missing:
        raise UserError(
            f"{len(missing)} of the {len(images)} images of {path.name} are not in {folder}: "
            f"{list_some(missing)}"
        )


def check_sizes(path: Path, images: list[Image], folder: Path) -> None:
    """Compares the sizes that a file states with the images' own, of up to 3000 of them.

    Images that cannot be read are passed over: what becomes of them is the loader's affair.

    Args:
        path: The file that lists them, for the error.
        images: What it lists.
        folder: Where they lie.

    Raises:
        UserError: Some image has another size.
    """
    differing = []
    for image in evenly_spaced(images):
        stated = (image["height"], image["width"])
        try:
            found = header_size(folder / image["file_name"], stated)
        except ImageError:
            continue
        if found != stated:
            differing.append(
                f"{image['file_name']} ({stated[1]}x{stated[0]}, but is {found[1]}x{found[0]})"
            )
    if differing:
        raise UserError(
            f"{path} states the wrong size for {len(differing)} of its images, so its "
            f"boxes may be misplaced: {list_some(differing)}"
        )


def check_pixels(
    path: Path, objects: Sequence[Mapping[str, Any]], images: Sequence[Image] = ()
) -> None:
    """Makes sure that boxes are in pixels: not all lie within the first pixel of larger images.

    Args:
        path: The file, for the error.
        objects: Annotated or detected ones; those whose ``bbox`` has no area tell nothing.
        images: What they are in, where the file says so.

    Raises:
        UserError: They are shares of the image.
    """
    boxes = [item["bbox"] for item in objects if min(item["bbox"][2:]) > 0]
    is_large = all(min(image["width"], image["height"]) > 1 for image in images)
    if boxes and is_large and all(min(box) >= 0 and max(box) <= 1 for box in boxes):
        raise UserError(
            f"{path}: all boxes lie within 0 and 1, as shares of the image; COCO's are in pixels: "
            "multiply x and width by the image's width, y and height by its height"
        )


def check_references(path: Path, content: dict[str, Any]) -> None:
    """Makes sure that annotations are of images and categories of the file, which are distinct.

    Raises:
        UserError: They are not.
    """
    for name, key in _DISTINCT:
        repeated = [value for value, n in Counter(x[key] for x in content[name]).items() if n > 1]
        if repeated:
            listed = list_some(repeated)
            raise UserError(f"{path}: several of its {name} have the {key} {listed}")
    for key, name in (("category_id", "categories"), ("image_id", "images")):
        known = {item["id"] for item in content[name]}
        strange = sorted({item[key] for item in content["annotations"]} - known)
        if strange:
            raise UserError(
                f"{path}: annotations have the {key} {list_some(strange)}, not one of its "
                f"{name} ({list_some(sorted(known))})"
            )


def renumber(content: dict[str, Any]) -> list[str]:
    """Numbers annotations from 1 where an id is below 1 or repeated.

    pycocotools takes a match with annotation 0 for none, and keeps one of several with one id.

    Args:
        content: Of a file; its annotations are replaced.

    Returns:
        What was repaired, a line or none.
    """
    ids = [item["id"] for item in content["annotations"]]
    if min(ids, default=1) >= 1 and len(set(ids)) == len(ids):
        return []
    content["annotations"] = [
        {**item, "id": number} for number, item in enumerate(content["annotations"], 1)
    ]
    return ["its annotations' ids are below 1 or repeated, and were counted from 1 instead"]


def ignored_to_crowds(content: dict[str, Any]) -> list[str]:
    """Makes crowds of what a file ignores: mmdet would drop it, and pycocotools look for it.

    Returns:
        What was changed, a line or none.
    """
    ignored = [item for item in content["annotations"] if item.get("ignore")]
    for item in ignored:
        item["iscrowd"] = 1
        del item["ignore"]
    text = f"{len(ignored)} annotations are to be ignored, and are treated as crowds (iscrowd 1)"
    return [text] if ignored else []


def fill_areas(
    content: dict[str, Any], mask_area: Callable[[Any, int, int], float] | None = None
) -> list[str]:
    """Takes areas that are missing or not positive from the masks, or from the boxes.

    Objects of which the mask has none either are left out, as mmdet does.

    Args:
        content: Of a file; its annotations are changed.
        mask_area: The pixels of a segmentation in an image of some height and width; None where
            annotations have none.

    Returns:
        What was repaired and left out, a line for each.
    """
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    without = [item for item in content["annotations"] if item.get("area", 0) <= 0]
    for item in without:
        _, _, width, height = item["bbox"]
        size = sizes[item["image_id"]]
        item["area"] = mask_area(item["segmentation"], *size) if mask_area else width * height
    whole = content["annotations"]
    if mask_area:
        content["annotations"] = [item for item in whole if item["area"] > 0]
    empty = len(whole) - len(content["annotations"])
    source = "masks" if mask_area else "boxes"
    counts = {
        f"areas were missing or not positive; the {source}' are used": len(without) - empty,
        "objects whose masks have no pixel were left out": empty,
    }
    return [f"{count} {what}" for what, count in counts.items() if count]


def are_cocos(images: list[Image], count: int) -> bool:
    """Whether these are so many images of COCO 2017, by their names: numbers of twelve digits."""
    names = all(image["file_name"] == f"{image['id']:012d}.jpg" for image in images)
    return len(images) == count and names


def fill_index(coco: _Coco, content: dict[str, Any]) -> _Coco:
    """Fills an empty object of pycocotools with a data set in memory."""
    coco.dataset = {"info": {}, **content}
    with redirect_stdout(None):  # pycocotools has no way to be quiet
        coco.createIndex()
    return coco

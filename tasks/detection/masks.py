"""Objects' masks in annotation files, checked before pycocotools reads them.

Its C code trusts what it is given: run lengths that do not add up to the image crash the process
or cover other pixels than were meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pycocotools.mask
from pydantic import Field, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from mogabench.data.coco import Number
from mogabench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


class _Runs(TypedDict):
    """Lengths of runs of pixels outside and inside the object in turn, column by column."""

    size: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
    counts: str | list[NonNegativeInt]


_Polygon = Annotated[list[Number], Field(min_length=6)]
_MASK: TypeAdapter[Any] = TypeAdapter(Annotated[list[_Polygon], Field(min_length=1)] | _Runs)

_MARGIN = 1.0
"""Images' widths and heights by which a corner may lie outside, where pycocotools cuts it off.

Its time and memory grow with the outline, so that corners anywhere would exhaust both.
"""

_FIRST_DIGIT = ord("0")
_BITS = 5
_VALUE, _SIGN, _GOES_ON = 0x1F, 0x10, 0x20
_MOST_DIGITS = 7
"""A length of 32 bits has no more, and a longer one would leave 64-bit integers."""


def check_masks(path: Path, content: dict[str, Any]) -> None:
    """Makes sure that every annotation has a mask that fits its image.

    Args:
        path: The annotation file, for the error.
        content: What it says, with sound references.

    Raises:
        UserError: A mask is missing or malformed, or is not of its image's size.
    """
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    for item in content["annotations"]:
        fault = _fault(item.get("segmentation"), *sizes[item["image_id"]])
        if fault:
            raise UserError(f"{path}: the mask of annotation {item['id']} {fault}")


def mask_area(mask: Any, height: int, width: int) -> int:
    """The pixels of a sound ``segmentation`` in an image of that size."""
    if isinstance(mask, list):
        runs = pycocotools.mask.merge(pycocotools.mask.frPyObjects(mask, height, width))
    elif isinstance(mask["counts"], list):
        runs = pycocotools.mask.frPyObjects(mask, height, width)
    else:
        runs = mask
    return int(pycocotools.mask.area(runs))


def _fault(mask: Any, height: int, width: int) -> str | None:
    """What is wrong with an object's ``segmentation`` in an image of that size, if anything."""
    if mask is None:
        return "is missing: it has no segmentation"
    try:
        _MASK.validate_python(mask)
    except ValidationError:
        return (
            "should be polygons [[x1, y1, x2, y2, x3, y3, …], …] or run lengths "
            f'{{"size": [height, width], "counts": …}}, not {repr(mask)[:40]}'
        )
    return (_fault_of_runs if isinstance(mask, dict) else _fault_of_polygons)(mask, height, width)


def _fault_of_polygons(polygons: list[list[float]], height: int, width: int) -> str | None:
    for polygon in polygons:
        if len(polygon) % 2:
            return f"has a polygon of {len(polygon)} numbers; they should be pairs of x and y"
        for axis, values, end in (("x", polygon[::2], width), ("y", polygon[1::2], height)):
            low, high = min(values), max(values)
            if low < -_MARGIN * end or high > (1 + _MARGIN) * end:
                return (
                    f"reaches from {axis} = {low:g} to {high:g}, far outside its image of "
                    f"{width}x{height} pixels"
                )
    return None


def _fault_of_runs(mask: dict[str, Any], height: int, width: int) -> str | None:
    if mask["size"] != [height, width]:
        return (
            f"has the size {mask['size']}, but its image is {height} high and {width} wide: it "
            f"should be [{height}, {width}]"
        )
    counts = mask["counts"]
    runs = counts if isinstance(counts, list) else _decode(counts)
    if runs is None or min(runs, default=0) < 0:
        return f"has counts that are not run lengths as pycocotools writes them: {counts[:20]!r}"
    if sum(runs) != height * width:
        return (
            f"has runs of {sum(runs)} pixels in all, but its image has {height * width} "
            f"({width}x{height})"
        )
    return None


def _decode(counts: str) -> list[int] | None:
    """The run lengths in COCO's compressed text; None if it is none.

    A character is a digit of five bits, the lowest first, and says whether another follows. From
    the fourth on, a length is written as the difference from the last but one (pycocotools,
    ``common/maskApi.c``).
    """
    digits = np.frombuffer(counts.encode(), np.uint8).astype(np.int64) - _FIRST_DIGIT
    if not digits.size or digits.min() < 0 or digits.max() > (_GOES_ON | _VALUE):
        return None
    ends = np.flatnonzero(digits & _GOES_ON == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if not ends.size or ends[-1] != digits.size - 1 or lengths.max() > _MOST_DIGITS:
        return None
    places = _BITS * (np.arange(digits.size) - np.repeat(starts, lengths))
    runs = np.add.reduceat((digits & _VALUE) << places, starts)
    is_negative = digits[ends] & _SIGN > 0
    runs[is_negative] -= 1 << (_BITS * lengths[is_negative])
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    decoded: list[int] = runs.tolist()
    return decoded

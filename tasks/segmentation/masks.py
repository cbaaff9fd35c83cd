"""Masks: which class their ids mean, and images read so that their masks fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from mmcv.transforms import BaseTransform

from mogabench.data.images import ImageError, are_truncated_filled, mask_size, read_ids
from mogabench.errors import UserError
from mogabench.openmmlab.images import LoadImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

IGNORED = 255
"""Stands in a mask, as 0 may do, for a pixel that has none of the classes."""

Zero = Literal["ignore", "class"]


@dataclass(frozen=True)
class Ids:
    """Which class an id in a mask means.

    Attributes:
        names: The classes'.
        zero: Whether 0 is ignored, and ids count from 1, or 0 is the first class.
    """

    names: tuple[str, ...]
    zero: Zero = "ignore"

    @property
    def valid(self) -> range:
        """The classes' ids, in the order of their names."""
        first = int(self.zero == "ignore")
        return range(first, first + len(self.names))

    def classes(self, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The classes from 0 of a mask's pixels, `IGNORED` where there is none."""
        is_class = (ids >= self.valid.start) & (ids < self.valid.stop)
        return np.where(is_class, ids - self.valid.start, IGNORED).astype(np.uint8)

    def check(self, mask: Path | str, ids: NDArray[np.int64]) -> None:
        """Makes sure that all ids in a mask are a class's, 0 or `IGNORED`.

        Args:
            mask: Its file, for the error.
            ids: What it holds.

        Raises:
            UserError: There are others.
        """
        wrong = ids[((ids < 0) | (ids >= self.valid.stop)) & (ids != IGNORED)]
        if not wrong.size:
            return
        nothing = f"0 or {IGNORED} is" if self.zero == "ignore" else f"{IGNORED} is"
        raise UserError(
            f"the mask {mask} holds the class id {wrong.max()}; the {len(self.names)} classes have "
            f"{self.valid.start} to {self.valid[-1]}, and {nothing} ignored: --class-map names "
            "other classes, --mask-zero says what 0 is"
        )


def check_count(classes: int, source: Path | None) -> None:
    """Refuses classes that the pixels of a mask cannot tell apart.

    Args:
        classes: How many there are.
        source: What says so, for the error.

    Raises:
        UserError: There is one, or there are more than ids beside `IGNORED`.
    """
    if not 2 <= classes < IGNORED:
        raise UserError(
            f"{source}: {classes} class(es), but masks need 2 to {IGNORED - 1}; list them in a "
            "class map, one per line"
        )


class LoadScene(LoadImage):
    """Reads an image so that its mask fits, where one of its two readings does."""

    def stated_size(self, results: dict[str, Any]) -> tuple[int, int] | None:
        """The mask's; None where there is none, or it cannot be read, which `LoadMask` tells."""
        if "seg_map_path" not in results:
            return None
        try:
            return mask_size(Path(results["seg_map_path"]))
        except ImageError:
            return None


class LoadMask(BaseTransform):
    """Reads a mask, so that the classes are counted from 0 thereafter.

    Args:
        ids: What the ids in it mean.
    """

    def __init__(self, ids: Ids) -> None:
        self.ids = ids

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the mask of the image that was read, if it has one.

        Raises:
            ImageError: It cannot be read; where truncated images are filled, all of it is ignored.
            UserError: It is no mask of class ids, is not of the image's size, or holds an id that
                no class has.
        """
        if "seg_map_path" not in results:
            return results
        mask, size = results["seg_map_path"], results["ori_shape"]
        try:
            ids = read_ids(Path(mask))
        except ImageError:
            if not are_truncated_filled():
                raise
            ids = np.full(size, IGNORED)
        check_size(mask, ids.shape, Path(results["img_path"]), size)
        self.ids.check(mask, ids)
        results["gt_seg_map"] = self.ids.classes(ids)
        results["seg_fields"].append("gt_seg_map")
        return results


def check_size(
    mask: Path | str, mask_size: tuple[int, ...], image: Path, size: tuple[int, ...]
) -> None:
    """Makes sure that a mask has its image's ``(height, width)``.

    Raises:
        UserError: It has another.
    """
    if mask_size != size:
        raise UserError(
            f"the mask {mask} is of {mask_size[1]}x{mask_size[0]} pixels, but its image "
            f"{image.name} of {size[1]}x{size[0]}"
        )

"""Images and their class masks in ADE20K's folders, through mmseg's transforms."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from mmcv.transforms import BaseTransform, RandomFlip, RandomResize, Resize
from mmseg.datasets import ADE20KDataset, BaseSegDataset
from mmseg.datasets.transforms import (
    PackSegInputs,
    PhotoMetricDistortion,
    RandomCrop,
    ResizeToMultiple,
)
from PIL import Image

from mogabench.data.classes import read_class_names
from mogabench.data.identity import SAMPLE, data_name, data_root
from mogabench.data.shapes import SCENE_CLASSES, sample_shapes
from mogabench.errors import UserError
from mogabench.openmmlab.images import LoadImage
from mogabench.records import Data
from mogabench.tasks.segmentation.recipe import LONG_SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.engine.job import Job
    from mogabench.tasks.segmentation import SegmentationOptions
    from mogabench.tasks.segmentation.recipe import SegmentationRecipe

    SegmentationJob = Job[SegmentationRecipe, SegmentationOptions]

IGNORED = 255
"""Stands in a mask, as 0 does, for a pixel that has none of the classes."""

_FOLDERS = {"train": "training", "val": "validation"}
_SUFFIXES = (".jpg", ".jpeg", ".png")
_ADE20K = tuple(ADE20KDataset.METAINFO["classes"])


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        scenes: mmseg's data set.
        identity: What a record calls it.
    """

    scenes: BaseSegDataset
    identity: Data


def training_split(job: SegmentationJob, recipe: SegmentationRecipe) -> Split:
    """The crops to train on, padded to the recipe's size by the network's preprocessing.

    Raises:
        UserError: The folder lacks images or masks.
    """
    classes = class_names(job)
    short, augment = recipe.input.short_side, recipe.augment
    transforms: list[BaseTransform] = [
        LoadScene(),
        LoadMask(len(classes)),
        RandomResize(scale=(LONG_SIDE * short, short), ratio_range=augment.scale, keep_ratio=True),
        RandomCrop((recipe.input.crop,) * 2, cat_max_ratio=augment.largest_class),
        RandomFlip(prob=augment.hflip),
    ]
    if augment.photometric:
        transforms.append(PhotoMetricDistortion())
    return _split(job, "train", classes, [*transforms, PackSegInputs()])


def evaluation_split(job: SegmentationJob) -> Split:
    """Whole images, their shorter side as the subject's size says, and masks as they are.

    Raises:
        UserError: The folder lacks images or masks.
    """
    classes = class_names(job)
    short = job.subject.input_size[0]
    transforms = [LoadScene(), Resize(scale=(LONG_SIDE * short, short), keep_ratio=True)]
    if job.recipe and job.recipe.input.test_divisor:
        transforms.append(ResizeToMultiple(job.recipe.input.test_divisor))
    return _split(job, "val", classes, [*transforms, LoadMask(len(classes)), PackSegInputs()])


def class_names(job: SegmentationJob) -> tuple[str, ...]:
    """What the ids in the masks mean, from 1: ADE20K's 150, the sample's, or the class map's.

    Raises:
        UserError: The class map cannot be read, or names fewer than two classes.
    """
    if job.data == SAMPLE:
        return SCENE_CLASSES
    if job.options.class_map is None:
        return _ADE20K
    names = read_class_names(job.options.class_map)
    if not 2 <= len(names) < IGNORED:
        raise UserError(
            f"{job.options.class_map} should name 2 to {IGNORED - 1} classes, one a line, not "
            f"{len(names)}"
        )
    return names


class LoadScene(LoadImage):
    """Reads an image so that its mask fits, where one of its two readings does."""

    def stated_size(self, results: dict[str, Any]) -> tuple[int, int] | None:
        """The mask's; None where it cannot be read, which `LoadMask` tells."""
        try:
            with Image.open(results["seg_map_path"]) as mask:
                return mask.height, mask.width
        except (OSError, SyntaxError):
            return None


class LoadMask(BaseTransform):
    """Reads a mask of class ids from 1, so that the classes are counted from 0 thereafter.

    Args:
        classes: How many there are; 0 and 255 in the file stand for none of them.
    """

    def __init__(self, classes: int) -> None:
        self.classes = np.full(256, IGNORED, np.uint8)
        self.classes[1 : classes + 1] = np.arange(classes)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the mask of the image that was read.

        Raises:
            UserError: It cannot be read, is a picture in colours, is not of the image's size, or
                holds an id that no class has.
        """
        ids = _read_ids(results["seg_map_path"])
        if ids.shape != results["ori_shape"]:
            raise UserError(
                f"the mask {results['seg_map_path']} is of {_size(ids.shape)} pixels, but its "
                f"image {Path(results['img_path']).name} of {_size(results['ori_shape'])}"
            )
        results["gt_seg_map"] = self.classes[ids]
        wrong = ids[(results["gt_seg_map"] == IGNORED) & (ids != 0) & (ids != IGNORED)]
        if wrong.size:
            last = np.count_nonzero(self.classes != IGNORED)
            raise UserError(
                f"the mask {results['seg_map_path']} holds the class id {wrong.max()}; the "
                f"{last} classes have 1 to {last}, and 0 or {IGNORED} is ignored"
            )
        results["seg_fields"].append("gt_seg_map")
        return results


def _read_ids(file: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    try:
        with Image.open(file) as mask:
            if mask.mode not in ("L", "P"):
                raise UserError(
                    f"the mask {file} is a picture in Pillow's mode {mask.mode}; it should have "
                    "one channel of 8 bits with class ids (mode L or P)"
                )
            return np.asarray(mask)
    except (OSError, SyntaxError) as error:
        raise UserError(f"cannot read the mask {file}") from error


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


def _split(
    job: SegmentationJob,
    split: Literal["train", "val"],
    classes: tuple[str, ...],
    transforms: Sequence[BaseTransform],
) -> Split:
    root = data_root(job.data, lambda: sample_shapes() / "ade")
    images, masks = root / "images" / _FOLDERS[split], root / "annotations" / _FOLDERS[split]
    pairs = _pairs(images, masks)
    scenes = BaseSegDataset(
        img_suffix=pairs[0][0].suffix,
        metainfo={
            "classes": classes,
            "palette": ADE20KDataset.METAINFO["palette"] if classes == _ADE20K else [],
        },
        data_prefix={"img_path": str(images), "seg_map_path": str(masks)},
        pipeline=list(transforms),
        test_mode=split == "val",
    )
    known = "ade20k" if _is_ade20k(split, pairs, classes) else None
    digest = hashlib.sha256("\n".join(classes).encode())
    for image, mask in pairs:
        digest.update(f"{image.name} {mask.stat().st_size}\n".encode())
    identity = Data(
        name=data_name(root, known), split=split, samples=len(pairs), digest=digest.hexdigest()
    )
    return Split(scenes, identity)


def _pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """The images, all of one suffix, and their masks."""
    for folder in (images, masks):
        if not folder.is_dir():
            raise UserError(
                f"there is no folder {folder}; --data takes a folder with "
                "{images,annotations}/{training,validation}/, as ADEChallengeData2016 has, or "
                f"{SAMPLE}"
            )
    found = sorted(file for file in images.iterdir() if file.suffix.lower() in _SUFFIXES)
    suffixes = {file.suffix for file in found}
    if len(suffixes) != 1:
        raise UserError(
            f"{images} should hold images of one kind ({', '.join(_SUFFIXES)}), but holds "
            f"{', '.join(sorted(suffixes)) or 'none'}"
        )
    without = {file.stem for file in found} - {file.stem for file in masks.glob("*.png")}
    if without:
        raise UserError(
            f"{masks} lacks the masks of {len(without)} of {len(found)} images, such as "
            f"{min(without)}.png"
        )
    return [(file, masks / f"{file.stem}.png") for file in found]


def _is_ade20k(split: str, pairs: Sequence[tuple[Path, Path]], classes: tuple[str, ...]) -> bool:
    """Whether these are all images of ADE20K's release of 2016 in its own classes."""
    count, prefix = {"train": (20_210, "ADE_train_"), "val": (2000, "ADE_val_")}[split]
    named = all(image.stem.startswith(prefix) for image, _ in pairs)
    return named and len(pairs) == count and classes == _ADE20K

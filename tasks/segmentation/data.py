"""Images and their class masks in ADE20K's folders, through mmseg's transforms."""

from __future__ import annotations

import hashlib
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from mmcv.transforms import RandomFlip, RandomResize, Resize
from mmseg.datasets import ADE20KDataset, BaseSegDataset
from mmseg.datasets.transforms import (
    PackSegInputs,
    PhotoMetricDistortion,
    RandomCrop,
    ResizeToMultiple,
)

from mogabench.checkpoints import Description
from mogabench.data.classes import read_class_names
from mogabench.data.folders import has_images
from mogabench.data.identity import SAMPLE, data_name, data_root
from mogabench.data.shapes import SCENE_CLASSES, sample_shapes
from mogabench.records import Data
from mogabench.tasks.segmentation.masks import Ids, LoadMask, LoadScene, check_count
from mogabench.tasks.segmentation.pairs import Pairs, find_images, find_pairs
from mogabench.tasks.segmentation.recipe import LONG_SIDE, short_side
from mogabench.tasks.segmentation.survey import check_zero, count_ids, describe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mmcv.transforms import BaseTransform

    from mogabench.engine.job import Job
    from mogabench.tasks.segmentation.options import SegmentationOptions
    from mogabench.tasks.segmentation.recipe import SegmentationRecipe

    SegmentationJob = Job[SegmentationRecipe, SegmentationOptions]

_FOLDERS = {"train": "training", "val": "validation"}
ADE20K = tuple(ADE20KDataset.METAINFO["classes"])

_GOLDEN = (5**0.5 - 1) / 2
"""Of a circle of hues; its multiples never come close to each other."""


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        scenes: mmseg's data set.
        identity: What a record calls it.
        notes: What was left out of it, a line for each kind.
    """

    scenes: Scenes
    identity: Data
    notes: tuple[str, ...] = ()

    @property
    def annotated(self) -> bool:
        """Whether its images have masks."""
        return all(mask is not None for _, mask in self.scenes.pairs)


def training_split(job: SegmentationJob, recipe: SegmentationRecipe, ids: Ids) -> Split:
    """The crops to train on, padded to the recipe's size by the network's preprocessing.

    Args:
        job: Names the data.
        recipe: The job's.
        ids: What the ids in the masks mean.

    Raises:
        UserError: The folder lacks images or masks.
    """
    short, augment = recipe.input.short_side, recipe.augment
    transforms: list[BaseTransform] = [
        LoadScene(),
        LoadMask(ids),
        RandomResize(scale=(LONG_SIDE * short, short), ratio_range=augment.scale, keep_ratio=True),
        RandomCrop((recipe.input.crop,) * 2, cat_max_ratio=augment.largest_class),
        RandomFlip(prob=augment.hflip),
    ]
    if augment.photometric:
        transforms.append(PhotoMetricDistortion())
    return _split(job, "train", ids, [*transforms, PackSegInputs()])


def evaluation_split(job: SegmentationJob, ids: Ids) -> Split:
    """Whole images, their shorter side as the subject's size says, and masks as they are.

    Where there is no folder of their masks, or ``--data`` is a folder of images and nothing else,
    the images have none.

    Args:
        job: Names the data and the size.
        ids: What the ids in the masks mean.

    Raises:
        UserError: The folder lacks images, or masks of all or to train.
    """
    return _split(
        job, "val", ids, [LoadScene(), *evaluation_resizing(job), LoadMask(ids), PackSegInputs()]
    )


def evaluation_resizing(job: SegmentationJob) -> list[BaseTransform]:
    """What makes an image as large as it is evaluated at.

    Raises:
        UserError: The subject's size is none that images are resized to.
    """
    short = short_side(job.subject.input_size)
    transforms: list[BaseTransform] = [
        Resize(scale=(LONG_SIDE * short, short), keep_ratio=True),
    ]
    if job.recipe and job.recipe.input.test_divisor:
        transforms.append(ResizeToMultiple(job.recipe.input.test_divisor))
    return transforms


def class_ids(job: SegmentationJob) -> Ids:
    """What the ids in the masks mean.

    The class map names the classes, in the order of their ids. Without one the sample's masks are
    of its own, and others of the weights' in an evaluation, or ADE20K's 150. Weights for the same
    classes also say whether 0 is the first of them: masks that lack both 0 and the last class fit
    either reading.

    Raises:
        UserError: The class map or the weights cannot be read, or name too few classes or too many.
    """
    stated = Description.of(job.weights) if job.weights is not None else None
    names = _class_names(job, stated)
    check_count(len(names), job.options.class_map or job.weights)
    zero = job.options.mask_zero
    if zero is None and stated and stated.classes == names and stated.class_ids[:1] == (0,):
        zero = "class"
    return Ids(names, zero or "ignore")


def _class_names(job: SegmentationJob, stated: Description | None) -> tuple[str, ...]:
    if job.options.class_map is not None:
        return read_class_names(job.options.class_map)
    if job.data == SAMPLE:
        return SCENE_CLASSES
    return stated.classes if stated and stated.classes and not job.train else ADE20K


def palette_of(classes: Sequence[str]) -> list[list[int]]:
    """A colour in RGB for each class: ADE20K's own, or hues that are far from the ones before."""
    if tuple(classes) == ADE20K:
        palette: list[list[int]] = ADE20KDataset.METAINFO["palette"]
        return palette
    hues = (number * _GOLDEN % 1 for number in range(len(classes)))
    colours = (hsv_to_rgb(hue, 0.75, 1 - 0.3 * (n % 3) / 2) for n, hue in enumerate(hues))
    return [[round(255 * part) for part in colour] for colour in colours]


def look_at_masks(job: SegmentationJob, splits: Sequence[Split], ids: Ids) -> list[str]:
    """Looks at up to 3000 masks of each split before a run.

    Args:
        job: Says what of the masks the user has said.
        splits: The parts of the data.
        ids: What the ids in the masks mean.

    Returns:
        What was left out of the data and what the masks lack, a line for each kind.

    Raises:
        UserError: Masks do not fit their images or the classes, or it is unclear what 0 means.
    """
    may_skip = job.on_bad_image != "fail"
    counts = [count_ids(split.scenes.pairs, ids, may_skip=may_skip) for split in splits]
    lines = [line for split in splits for line in split.notes]
    for split, found in zip(splits, counts, strict=True):
        lines += describe(_FOLDERS[split.identity.split], found, ids)
    if job.options.mask_zero is None and ids.zero == "ignore":
        check_zero(np.sum(counts, axis=0), ids, own_classes=job.options.class_map is not None)
    if ids.zero == "class":
        lines.append(f"0 in the masks is the class {ids.names[0]} (--mask-zero class)")
    return lines


class Scenes(BaseSegDataset):
    """Images and masks through mmseg's transforms.

    Args:
        pairs: Images and masks; None for masks that are not known.
        classes: The classes' names.
        transforms: mmseg's.
        training: Whether it is trained on.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Path, Path | None]],
        classes: tuple[str, ...],
        transforms: Sequence[BaseTransform],
        *,
        training: bool,
    ) -> None:
        self.pairs = pairs
        super().__init__(
            metainfo={"classes": classes, "palette": palette_of(classes)},
            pipeline=list(transforms),
            test_mode=not training,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """The pairs as mmseg has them, which itself finds images of one ending only."""
        common = {"label_map": None, "reduce_zero_label": False}
        return [
            {
                "img_path": str(image),
                **({} if mask is None else {"seg_map_path": str(mask)}),
                "seg_fields": [],
                **common,
            }
            for image, mask in self.pairs
        ]


def _split(
    job: SegmentationJob,
    split: Literal["train", "val"],
    ids: Ids,
    transforms: Sequence[BaseTransform],
) -> Split:
    root = data_root(job.data, lambda: sample_shapes() / "ade")
    found = _find(root, _FOLDERS[split], needs_masks=job.train)
    scenes = Scenes(found.pairs, ids.names, transforms, training=split == "train")
    known = "ade20k" if _is_ade20k(split, found.pairs, ids) else None
    digest = hashlib.sha256("\n".join(ids.names).encode())
    if ids.zero == "class":
        digest.update(b"\n0 is a class\n")
    for image, mask in found.pairs:
        line = f"{image.relative_to(found.folder)} {mask.stat().st_size if mask else 'alone'}\n"
        digest.update(line.encode(errors="surrogateescape"))
    identity = Data(
        name=data_name(root, known),
        split=split,
        samples=len(found.pairs),
        digest=digest.hexdigest(),
    )
    return Split(scenes, identity, found.notes)


def _find(root: Path, split: str, *, needs_masks: bool) -> Pairs:
    """The images of a split with their masks, or alone where a folder of masks is not there."""
    images, masks = root / "images" / split, root / "annotations" / split
    if needs_masks or masks.is_dir():
        return find_pairs(images, masks)
    alone = root if not images.is_dir() and has_images(root) else images
    return find_images(alone)


def _is_ade20k(split: str, pairs: Sequence[tuple[Path, Path | None]], ids: Ids) -> bool:
    """Whether these are all images of ADE20K's release of 2016 in its own classes."""
    count, prefix = {"train": (20_210, "ADE_train_"), "val": (2000, "ADE_val_")}[split]
    named = all(image.stem.startswith(prefix) and mask for image, mask in pairs)
    return named and len(pairs) == count and ids == Ids(ADE20K)

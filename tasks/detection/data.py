"""COCO's layout as data sets of mmdet, with a recipe's sizes and augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmcv.transforms import BaseTransform
from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope

from mogabench.data.coco import are_cocos, fill_index
from mogabench.data.identity import data_name, data_root
from mogabench.data.images import read_annotated_image
from mogabench.data.shapes import sample_shapes
from mogabench.engine.coco_files import CocoFiles
from mogabench.engine.task import Source
from mogabench.errors import UserError
from mogabench.openmmlab.images import of_image
from mogabench.records import Data
from mogabench.tasks.detection.annotations import Annotations, read_annotations

if TYPE_CHECKING:
    from mogabench.tasks.detection.recipe import DetectionRecipe, Scale

_SMALLEST = 32
"""Training images with a shorter side, in pixels, are left out, as in mmdet's configurations."""

_COCO = {"train": (118_287, 860_001), "val": (5000, 36_781)}
"""Images and annotations in ``instances_<split>2017.json`` (cocodataset/cocoapi, issue 117)."""


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        annotations: What its images show.
        images: The folder they lie in.
        identity: What a record calls it.
    """

    annotations: Annotations
    images: Path
    identity: Data

    @property
    def notes(self) -> list[str]:
        """What was repaired in the annotations."""
        return [f"{self.annotations.path.name}: {line}" for line in self.annotations.repairs]


def open_split(
    data: str, part: Literal["train", "val"], *, masks: bool, files: CocoFiles | None = None
) -> Split:
    """Opens ``train2017/`` or ``val2017/`` with its annotations.

    Args:
        data: COCO's folder, or ``sample``.
        part: ``train`` or ``val``.
        masks: Whether its objects must have masks.
        files: Other names of the files; None for the usual ones.

    Raises:
        UserError: The folder does not have COCO's layout, or the annotations are not sound.
    """
    root = data_root(data, lambda: sample_shapes() / "coco")
    file, images = (files or CocoFiles()).find(root, part, "instances")
    annotations = read_annotations(file, images, masks=masks)
    identity = Data(
        name=data_name(root, "coco-2017" if _is_coco(annotations, part) else None),
        split=part,
        samples=len(annotations.content["images"]),
        digest=annotations.digest,
    )
    return Split(annotations, images, identity)


def _is_coco(annotations: Annotations, part: str) -> bool:
    """Whether these are all images and annotations of COCO's split, in its own 80 classes."""
    images, count = _COCO[part]
    return (
        are_cocos(annotations.content["images"], images)
        and annotations.listed == count
        and annotations.classes == CocoDataset.METAINFO["classes"]
    )


class Images(CocoDataset):
    """A split's images through mmdet's transforms.

    Attributes:
        notes: What of a training set mmdet leaves out, a line for each kind.
        wide: Whether each image is as wide as high, or wider.

    Args:
        split: What to load.
        transforms: mmdet's, as its configurations write them.
        training: Whether to leave out images without boxes, and very small ones.

    Raises:
        UserError: There is no image to train on.
    """

    def __init__(self, split: Split, transforms: list[dict[str, Any]], *, training: bool) -> None:
        self._content = split.annotations.content
        self.notes: list[str] = []
        with DefaultScope.overwrite_default_scope("mmdet"):
            super().__init__(
                ann_file=str(split.annotations.path),
                data_prefix={"img": str(split.images)},
                metainfo={"classes": split.annotations.classes},
                filter_cfg={"filter_empty_gt": True, "min_size": _SMALLEST},
                test_mode=not training,
                pipeline=transforms,
            )

    def filter_data(self) -> list[dict[str, Any]]:
        """What is left to train on; to evaluate, everything."""
        kept: list[dict[str, Any]] = super().filter_data()
        if not kept:
            raise UserError(
                f"{self.ann_file} has no image to train on: none has boxes and a shorter side of "
                f"{_SMALLEST} pixels or more"
            )
        if not self.test_mode:
            self._note(kept)
        self.wide = [image["width"] >= image["height"] for image in kept]
        return kept

    def _note(self, kept: list[dict[str, Any]]) -> None:
        """Counts what mmdet left out.

        Args:
            kept: The images that it trains on, with their boxes.
        """
        if all(box["ignore_flag"] for image in kept for box in image["instances"]):
            raise UserError(
                f"{self.ann_file} has no box to train on: other than crowds, all are less than a "
                "pixel wide or high"
            )
        boxes = [box for image in self.data_list for box in image["instances"]]
        small = sum(min(image["height"], image["width"]) < _SMALLEST for image in self.data_list)
        counts = {
            "crowds (iscrowd 1)": sum(box["ignore_flag"] for box in boxes),
            "boxes less than a pixel wide or high": len(self._content["annotations"]) - len(boxes),
            f"images with a shorter side below {_SMALLEST} pixels": small,
            "other images without boxes": len(self.data_list) - len(kept) - small,
        }
        self.notes += [
            f"{Path(self.ann_file).name}: {count} {what} are not trained on"
            for what, count in counts.items()
            if count
        ]

    def COCOAPI(self, _: str) -> COCO:  # noqa: N802  (mmdet's name)
        """The annotations as read and repaired before, rather than the file's."""
        return index(self._content)


class LoadAnnotatedImage(BaseTransform):
    """Reads an image and makes sure that it is the one that was annotated."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the image ``(height, width, 3)``, BGR, and its size.

        Raises:
            UserError: It cannot be read, or is not of the size that the annotations say.
        """
        stated = results["height"], results["width"]
        return results | of_image(read_annotated_image(Path(results["img_path"]), stated))


def index(content: dict[str, Any]) -> COCO:
    """The lookup tables of pycocotools over a data set in memory."""
    coco = fill_index(COCO(), content)
    coco.img_ann_map, coco.cat_img_map = coco.imgToAnns, coco.catToImgs  # mmdet's names
    return coco


def training_source(
    split: Split, recipe: DetectionRecipe, *, masks: bool
) -> tuple[Source, list[str]]:
    """A split to train on, and what of it was repaired and left out.

    Raises:
        UserError: It has no image to train on.
    """
    images = Images(split, training_transforms(recipe, masks=masks), training=True)
    identity = split.identity.model_copy(update={"samples": len(images)})
    source = Source(images, identity, pseudo_collate, groups=images.wide)
    return source, [*split.notes, *images.notes]


def evaluation_source(split: Split, recipe: DetectionRecipe) -> Source:
    """A split to evaluate on."""
    images = Images(split, evaluation_transforms(recipe.input.test_scale), training=False)
    return Source(images, split.identity, pseudo_collate, annotated=split.annotations.listed > 0)


def training_transforms(recipe: DetectionRecipe, *, masks: bool) -> list[dict[str, Any]]:
    """Load, resize or crop, flip and pack, as mmdet's configurations write it."""
    resize = _resize(recipe.input.train_scales)
    ways = [[resize]]
    if recipe.augment.crop is not None:
        crop = recipe.augment.crop
        cut = {
            "type": "RandomCrop",
            "crop_type": "absolute_range",
            "crop_size": crop.size,
            "allow_negative_crop": True,
        }
        ways.append([_resize(crop.scales), cut, resize])
    return [
        {"type": LoadAnnotatedImage},
        {"type": "LoadAnnotations", "with_bbox": True, "with_mask": masks},
        {"type": "RandomFlip", "prob": recipe.augment.hflip},
        {"type": "RandomChoice", "transforms": ways},
        {"type": "PackDetInputs"},
    ]


def evaluation_transforms(scale: Scale) -> list[dict[str, Any]]:
    """Load, resize and pack."""
    meta = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
    return [
        {"type": LoadAnnotatedImage},
        {"type": "Resize", "scale": scale, "keep_ratio": True},
        {"type": "PackDetInputs", "meta_keys": meta},
    ]


def _resize(scales: tuple[Scale, ...]) -> dict[str, Any]:
    return {"type": "RandomChoiceResize", "scales": list(scales), "keep_ratio": True}

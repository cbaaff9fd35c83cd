"""Where a data set in COCO's format has its files, for the tasks that read such."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mogabench.engine.task import TaskOptions
from mogabench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

_ROBOFLOW = "_annotations.coco.json"
_ROBOFLOW_FOLDERS = {"train": ("train",), "val": ("valid", "val", "test")}


class CocoFiles(TaskOptions):
    """COCO's own names, those of Roboflow's exports, or what the options say."""

    annotations: str | None = Field(
        default=None,
        description="Annotation file in --data, with {split} where its name has train or val; "
        "default: COCO's or Roboflow's names.",
        json_schema_extra={"metavar": "FILE"},
    )
    images: str | None = Field(
        default=None,
        description="Folder of its images in --data, likewise with {split}.",
        json_schema_extra={"metavar": "DIR"},
    )

    def find(self, root: Path, split: Literal["train", "val"], kind: str) -> tuple[Path, Path]:
        """The annotation file of a split and the folder of its images, which may not exist.

        Args:
            root: What ``--data`` names.
            split: ``train`` or ``val``.
            kind: What COCO's annotation files begin with, such as ``instances``.

        Raises:
            UserError: Only one of the options is given, or they do not tell the splits apart.
        """
        if self.annotations is None and self.images is None:
            return _find_known(root, split, kind)
        if self.annotations is None or self.images is None:
            raise UserError("--annotations and --images go together")
        if "{split}" not in self.annotations and split == "train":
            raise UserError(
                f"--annotations {self.annotations} names one file to train on and to evaluate on: "
                "write {split} where its name has train and val"
            )
        return (
            root / self.annotations.replace("{split}", split),
            root / self.images.replace("{split}", split),
        )


def _find_known(root: Path, split: Literal["train", "val"], kind: str) -> tuple[Path, Path]:
    """COCO's names, or Roboflow's: also of a split that is missing in its export."""
    cocos = root / "annotations" / f"{kind}_{split}2017.json", root / f"{split}2017"
    exports = {
        part: [(root / name / _ROBOFLOW, root / name) for name in names]
        for part, names in _ROBOFLOW_FOLDERS.items()
    }
    for file, images in (*exports[split], cocos):
        if file.is_file():
            return file, images
    is_export = any(file.is_file() for pairs in exports.values() for file, _ in pairs)
    return exports[split][0] if is_export else cocos

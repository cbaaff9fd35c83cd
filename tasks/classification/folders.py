"""The images of a split in class folders: one listing for data set, digest and messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from timm.data.readers.reader_image_folder import ReaderImageFolder

from mogabench.data.folders import (
    count_endings,
    is_image,
    left_out,
    natural_key,
    visible,
    walk,
)
from mogabench.data.images import SUFFIXES
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


UNKNOWN = -1
"""The label of an image whose class nothing says."""


@dataclass(frozen=True)
class Listing:
    """What lies in the class folders of a split.

    Attributes:
        files: The images, in the natural order of their paths.
        labels: The class of each, its folder directly below the split's; empty where there are
            images and no classes.
        classes: All class folders, in natural order: 2 before 10.
        notes: What was left out, and what of the order may surprise, a line for each kind.
    """

    files: tuple[Path, ...]
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


class FolderReader(ReaderImageFolder):
    """timm's reader over a listing.

    Args:
        root: The split's folder.
        listing: What lies in it.
        class_map: The labels of classes; None numbers the folders.
    """

    def __init__(self, root: Path, listing: Listing, class_map: Mapping[str, int] | None) -> None:
        super(ReaderImageFolder, self).__init__()
        self.root = str(root)
        self.class_to_idx = dict(
            class_map or {name: label for label, name in enumerate(listing.classes)}
        )
        labels = [self.class_to_idx[name] for name in listing.labels]
        self.samples: list[tuple[str, int]] = [
            (str(file), label)
            for file, label in zip(
                listing.files, labels or [UNKNOWN] * len(listing.files), strict=True
            )
        ]


def list_images(folder: Path) -> Listing:
    """Lists the images in the class folders below a folder, those in folders of theirs included.

    Raises:
        UserError: There are no images in class folders, or one of these has none.
    """
    hidden: list[Path] = []
    direct = list(visible(folder, hidden))
    classes = {item.name: list(walk(item, hidden)) for item in direct if item.is_dir()}
    images = {name: list(filter(is_image, files)) for name, files in classes.items()}
    loose = sum(is_image(item) for item in direct if item.is_file())
    if not any(images.values()):
        told = f": {loose} lie in it directly" if loose else ""
        raise UserError(f"{folder} holds no images in class folders{told}")
    others: list[Path] = []
    for name, files in classes.items():
        held = [file for file in files if not is_image(file)]
        if not images[name]:
            raise UserError(
                f"the class folder {folder / name} has no image that is read, but "
                f"{count_endings(held) or 'nothing'}; images end in {', '.join(SUFFIXES)}"
            )
        others += held
    found = [(file, name) for name, files in images.items() for file in files]
    found.sort(key=lambda item: natural_key(str(item[0])))
    ordered = tuple(sorted(images, key=natural_key))
    paths, labels = zip(*found, strict=True)
    notes = [*left_out(hidden, others), *_loose(loose), *_order(ordered)]
    return Listing(paths, labels, ordered, tuple(f"{folder.name}: {note}" for note in notes))


def list_alone(folder: Path) -> Listing | None:
    """Lists the images in a folder without class folders; None where it is no such."""
    hidden: list[Path] = []
    direct = list(visible(folder, hidden))
    files = [item for item in direct if item.is_file()]
    images = sorted(filter(is_image, files), key=lambda file: natural_key(str(file)))
    folders = (item for item in direct if item.is_dir())
    if not images or any(is_image(file) for item in folders for file in walk(item, [])):
        return None
    notes = left_out(hidden, (file for file in files if not is_image(file)))
    return Listing(tuple(images), (), (), tuple(f"{folder.name}: {note}" for note in notes))


def _loose(count: int) -> Iterator[str]:
    if count:
        yield f"left out {count} images that lie in no class folder"


def _order(classes: tuple[str, ...]) -> Iterator[str]:
    plain = sorted(classes)
    if list(classes) != plain:
        yield (
            f"classes are numbered in natural order ({', '.join(classes[:3])}, …), not as "
            f"torchvision's ImageFolder has them ({', '.join(plain[:3])}, …)"
        )

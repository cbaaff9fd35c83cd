"""Finding images, and their masks of the same path and name, whatever they end in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mogabench.data.folders import is_image, left_out, walk
from mogabench.data.identity import SAMPLE
from mogabench.data.images import SUFFIXES
from mogabench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Pairs:
    """What lies in a split's two folders.

    Attributes:
        folder: That of the images.
        pairs: The images and their masks, by the images' paths; None for masks that are not known.
        notes: What was left out, a line for each kind.
    """

    folder: Path
    pairs: tuple[tuple[Path, Path | None], ...]
    notes: tuple[str, ...]


def find_pairs(images: Path, masks: Path) -> Pairs:
    """Finds the images that have a mask of the same name, in folders below too.

    Raises:
        UserError: A folder is not there, no image has a mask, or two files have one name.
    """
    (of_images, image_notes), (of_masks, mask_notes) = _by_name(images), _by_name(masks)
    alone = sorted(of_images.keys() - of_masks.keys())
    unused = sorted(of_masks.keys() - of_images.keys())
    both = [(file, of_masks[name]) for name, file in of_images.items() if name in of_masks]
    if not both:
        raise UserError(
            f"no image in {images} has a mask in {masks}: {_some(of_images, alone)} and "
            f"{_some(of_masks, unused)}; a mask has its image's name, as in a.jpg and a.png"
        )
    notes = [*image_notes, *mask_notes]
    for names, files, folder, what in (
        (alone, of_images, images, "images without a mask"),
        (unused, of_masks, masks, "masks without an image"),
    ):
        if names:
            example = files[names[0]].relative_to(folder)
            notes.append(f"{folder.name}: left out {len(names)} {what}, such as {example}")
    pairs = tuple(sorted(both, key=lambda pair: str(pair[0])))
    return Pairs(images, pairs, tuple(notes))


def find_images(folder: Path) -> Pairs:
    """Finds images, in folders below too, whose masks are not known.

    Raises:
        UserError: There is no image, or two files have one name.
    """
    images, notes = _by_name(folder)
    alone = tuple((file, None) for file in sorted(images.values(), key=str))
    return Pairs(folder, alone, tuple(notes))


def _by_name(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The images below a folder, by path without the ending, and what else was there."""
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {folder}; --data takes a folder with "
            "{images,annotations}/{training,validation}/, as ADEChallengeData2016 has, or "
            f"{SAMPLE}"
        )
    hidden: list[Path] = []
    others: list[Path] = []
    found: dict[str, Path] = {}
    for file in walk(folder, hidden):
        if not is_image(file):
            others.append(file)
            continue
        name = str(file.relative_to(folder).with_suffix(""))
        if name in found:
            raise UserError(
                f"{found[name]} and {file.name} differ only in their ending, so it is unclear "
                "which one belongs to the other folder's file of that name: remove one"
            )
        found[name] = file
    if not found:
        raise UserError(f"{folder} has no image; images and masks end in {', '.join(SUFFIXES)}")
    place = f"{folder.parent.name}/{folder.name}"
    return found, [f"{place}: {note}" for note in left_out(hidden, others)]


def _some(files: dict[str, Path], names: list[str]) -> str:
    example = f" such as {files[names[0]].name}" if names else ""
    return f"{len(files)} files{example}"

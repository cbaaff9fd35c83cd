"""A look at the masks before a run, which refuses those that pose another problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mogabench.data.folders import evenly_spaced
from mogabench.data.images import ImageError, header_size, read_ids
from mogabench.errors import UserError, list_some
from mogabench.progress import progress
from mogabench.tasks.segmentation.masks import IGNORED, Ids, check_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Pair = tuple[Path, Path | None]
    Counts = NDArray[np.int64]
    """Pixels of each id, ``(256,)``."""

_UNSEEN = 500
"""Masks that are checked without a sign of progress: some 2 s."""


def count_ids(pairs: Sequence[Pair], ids: Ids, *, may_skip: bool) -> Counts:
    """Counts the pixels of each id in up to 3000 masks, evenly spaced over all.

    Args:
        pairs: Images and masks; those without are passed over.
        ids: What the ids mean.
        may_skip: Whether files that cannot be read are passed over.

    Raises:
        ImageError: A file cannot be read, and may not be passed over.
        UserError: A mask is of another size than its image, is none of ids, or holds an id that no
            class has.
    """
    counts = np.zeros(IGNORED + 1, np.int64)
    for image, mask in _with_progress(evenly_spaced(pairs)):
        if mask is None:
            continue
        try:
            found = read_ids(mask)
            size = found.shape[0], found.shape[1]
            check_size(mask, size, image, header_size(image, size))
        except ImageError:
            if not may_skip:
                raise
            continue
        ids.check(mask, found)
        counts += np.bincount(found.ravel(), minlength=len(counts))
    return counts


def _with_progress(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """The pairs; where they take more than seconds, progress is shown."""
    if len(pairs) <= _UNSEEN:
        yield from pairs
        return
    with progress("checking masks", -(-len(pairs) // _UNSEEN)) as advance:
        for number, pair in enumerate(pairs, 1):
            yield pair
            if number % _UNSEEN == 0 or number == len(pairs):
                advance("")


def describe(split: str, counts: Counts, ids: Ids) -> list[str]:
    """The share of ignored pixels and the classes that never occur, a line or none for each.

    Args:
        split: The split's name, for the lines and errors.
        counts: Of its masks.
        ids: What the ids mean.

    Raises:
        UserError: No pixel has a class, or the masks are black and white.
    """
    total, of_classes = counts.sum(), counts[ids.valid.start : ids.valid.stop]
    if not total:  # no mask could be read, which the loader tells
        return []
    if counts[IGNORED] and counts[0] + counts[IGNORED] == total:
        raise UserError(
            f"the {split} masks hold only 0 and {IGNORED}, which is ignored: masks of two classes "
            "hold 0 and 1, with --mask-zero class, or 1 and 2"
        )
    if not of_classes.any():
        raise UserError(
            f"no pixel of the {split} masks has a class: all are 0, which is ignored; --mask-zero "
            "class makes it the first class"
        )
    share = 1 - of_classes.sum() / total
    lines = [f"{split}: {share:.1%} of the masks' pixels are ignored"] if share else []
    absent = [name for name, count in zip(ids.names, of_classes, strict=True) if not count]
    if absent:
        lines.append(
            f"{split}: {len(absent)} of {len(ids.names)} classes do not occur: "
            f"{list_some(absent, most=10)}"
        )
    return lines


def check_zero(counts: Counts, ids: Ids, *, own_classes: bool) -> None:
    """Makes sure that 0 is not ignored by default where the masks count their classes from it.

    Args:
        counts: Of all masks, in training and evaluation.
        ids: What the ids mean, 0 being ignored.
        own_classes: Whether the user named the classes. Then masks with 0 but without the last id
            are ambiguous; ADE20K's are only where all the others occur, since a few of its images
            easily lack one.

    Raises:
        UserError: Both readings of 0 would fit.
    """
    last = ids.valid[-1]
    is_shifted = counts[0] and not counts[last]
    if is_shifted and (own_classes or counts[:last].all()):
        largest = np.flatnonzero(counts[:IGNORED]).max()
        raise UserError(
            f"the masks hold ids from 0 to {largest}, and there are {last} classes: --mask-zero "
            f"class if 0 is '{ids.names[0]}', --mask-zero ignore if 0 is none of them and 1 is "
            f"'{ids.names[0]}'"
        )

"""What lies in folders of images: hidden files and those of tools are none of the data."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from mogabench.data.images import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_TOOLS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
_TOOLS |= {"Thumbs.db", "desktop.ini"}
"""Files and folders that file systems and viewers leave; others begin with a dot."""

_LOOKED_AT = 3000

_T = TypeVar("_T")


def is_image(file: Path) -> bool:
    """Whether a file is one by its ending."""
    return file.suffix.lower() in SUFFIXES


def has_images(folder: Path) -> bool:
    """Whether images lie in a folder itself."""
    return folder.is_dir() and any(map(is_image, visible(folder, [])))


def visible(folder: Path, hidden: list[Path]) -> Iterator[Path]:
    """What is in a folder, by name.

    Args:
        folder: The folder.
        hidden: Gets what is hidden or made by tools.
    """
    for item in sorted(folder.iterdir()):
        if item.name.startswith(".") or item.name in _TOOLS:
            hidden.append(item)
        else:
            yield item


def natural_key(name: str) -> list[int | str]:
    """Sorts names by the numbers in them, 2 before 10, and otherwise by letters of either case.

    It is timm's order; timm's own function fails on digits that are no decimals, such as ②.
    """
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.lower())]


def walk(folder: Path, hidden: list[Path]) -> Iterator[Path]:
    """The files below a folder, through links, but into no folder twice; see `visible`."""
    return _walk(folder, hidden, set())


def left_out(hidden: Sequence[Path], others: Iterable[Path], what: str = "images") -> Iterator[str]:
    """Says what was left out, a line for each kind.

    Args:
        hidden: What is hidden or made by tools.
        others: Files that are none of the data.
        what: What the data are.
    """
    if hidden:
        yield (
            f"left out hidden and system files or folders: {len(hidden)}, such as {hidden[0].name}"
        )
    endings = count_endings(others)
    if endings:
        yield f"left out files that are not {what}: {endings}"


def count_endings(files: Iterable[Path]) -> str:
    """How many files there are of each ending; empty where there are none."""
    counts = Counter(file.suffix or "without an ending" for file in files)
    return ", ".join(f"{count} {ending}" for ending, count in sorted(counts.items()))


def evenly_spaced(items: Sequence[_T]) -> list[_T]:
    """All items, or 3000 of them from the first to the last: what is looked at before a run."""
    if len(items) <= _LOOKED_AT:
        return list(items)
    return [items[number * (len(items) - 1) // (_LOOKED_AT - 1)] for number in range(_LOOKED_AT)]


def _walk(folder: Path, hidden: list[Path], seen: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    for item in visible(folder, hidden):
        if item.is_dir():
            yield from _walk(item, hidden, seen)
        else:
            yield item

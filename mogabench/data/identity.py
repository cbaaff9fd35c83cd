"""Which folder ``--data`` names, and what records call the data in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.data.cache import written_name
from mogabench.files import expanded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAMPLE = "sample"
"""What ``--data`` calls a task's own sample."""


def data_root(data: str | Path, sample: Callable[[], Path]) -> Path:
    """The folder that ``--data`` names.

    Args:
        data: A folder, which need not exist, or ``sample``.
        sample: Writes the task's sample on the first call and returns its folder.
    """
    return sample() if data == SAMPLE else expanded(data)


def data_name(root: Path, known: str | None = None) -> str:
    """The name of the data in a folder: a known data set's, ``sample-…``, or ``folder:…``.

    Args:
        root: The folder; that of a sample lies in the cache, such as ``sample-shapes-2/coco``.
        known: The known data set that the content is recognised as; None where it is none.
    """
    return written_name(root) or known or f"folder:{expanded(root).resolve().name}"


def is_of(evaluated: str, name: str) -> bool:
    """Whether what is evaluated on belongs to some data, by their names.

    Args:
        evaluated: May say more, as ``coco-keypoints-true-boxes`` does of ``coco-keypoints``.
        name: That of the data.
    """
    return f"{evaluated}-".startswith(f"{name}-")

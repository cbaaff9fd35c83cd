"""What records call data: a known data set's name, ``sample-…``, or ``folder:…``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.catalogue import cache_folder

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = "sample"
"""What ``--data`` calls a task's own sample."""


def data_name(root: Path, known: str | None = None) -> str:
    """The name of the data in a folder.

    Args:
        root: The folder; that of a sample lies in the cache, such as ``sample-shapes-2/coco``.
        known: The known data set that the content is recognised as; None where it is none.
    """
    root, cache = root.expanduser().resolve(), cache_folder().resolve()
    if root.is_relative_to(cache):
        return root.relative_to(cache).parts[0].rpartition("-")[0]
    return known or f"folder:{root.name}"

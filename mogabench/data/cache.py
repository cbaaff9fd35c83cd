"""Sample data in the cache folder, written on the first use."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING
from uuid import uuid4

from mogabench.catalogue import cache_folder
from mogabench.errors import UserError
from mogabench.files import alone_in, expanded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_WRITTEN = re.compile(r"(sample-\w+)-\d+|(mnist|fashion-mnist|idx-.*)-[0-9a-f]{12}")
"""The folders that `written_once` makes; the cache may lie among data of the user's."""


def written_once(name: str, version: str, write: Callable[[Path], None]) -> Path:
    """A folder of the cache, written on the first call and whole.

    Args:
        name: What records call the content: as `_WRITTEN` has it.
        version: A number, or 12 digits of a digest; another content must have another one.
        write: Fills the folder that it is given, which does not exist yet.

    Raises:
        UserError: The cache folder cannot be written.
    """
    folder = cache_folder() / f"{name}-{version}"
    try:
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with alone_in(folder.parent):
                _write(folder, write)
    except OSError as error:
        raise UserError(f"cannot write the sample data to {folder}: {error}") from error
    return folder


def written_name(path: Path) -> str | None:
    """What records call the content of `written_once` that a path is in; None for anything else."""
    path, cache = expanded(path).resolve(), cache_folder().resolve()
    if not path.is_relative_to(cache) or path == cache:
        return None
    found = _WRITTEN.fullmatch(path.relative_to(cache).parts[0])
    return found and (found[1] or found[2])


def _write(folder: Path, write: Callable[[Path], None]) -> None:
    """Fills the folder, unless another process was faster.

    That may be one of another machine, which a lock of a network's folder does not keep out: so
    each fills a folder of its own, and the first one's takes the place.
    """
    if folder.is_dir():
        return
    unfinished = folder.with_name(f".{folder.name}.{uuid4().hex}")
    try:
        write(unfinished)
        unfinished.rename(folder)
    except OSError:  # such as that the faster one removed this one's files
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for left in folder.parent.glob(f".{folder.name}.*"):  # of processes that were killed
        shutil.rmtree(left, ignore_errors=True)

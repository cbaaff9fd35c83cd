"""Sample data in the cache folder, written on the first use."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from mogabench.catalogue import cache_folder
from mogabench.errors import UserError
from mogabench.files import alone_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def written_once(name: str, write: Callable[[Path], None]) -> Path:
    """A folder of the cache, written on the first call and whole.

    Args:
        name: The folder's; another content must have another name.
        write: Fills the folder that it is given, which does not exist yet.

    Raises:
        UserError: The cache folder cannot be written.
    """
    folder = cache_folder() / name
    try:
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with alone_in(folder.parent):
                _write(folder, write)
    except OSError as error:
        raise UserError(f"cannot write the sample data to {folder}: {error}") from error
    return folder


def _write(folder: Path, write: Callable[[Path], None]) -> None:
    """Fills the folder, unless another process was faster."""
    if folder.is_dir():
        return
    unfinished = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    try:
        write(unfinished)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise

"""Sample data in the cache folder, written on the first use."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mogabench.catalogue import cache_folder
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable


def written_once(name: str, write: Callable[[Path], None]) -> Path:
    """A folder of the cache, written on the first call and whole.

    Args:
        name: The folder's; another content must have another name.
        write: Fills the folder that it is given, which does not exist yet.

    Raises:
        UserError: The cache folder cannot be written.
    """
    folder = cache_folder() / name
    if not folder.is_dir():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
                write(Path(temporary) / "data")
                _move(Path(temporary) / "data", folder)
        except OSError as error:
            raise UserError(f"cannot write the sample data to {folder}: {error}") from error
    return folder


def _move(source: Path, target: Path) -> None:
    """Puts the finished folder in place, unless another process was faster."""
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(source)

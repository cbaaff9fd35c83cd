"""NumPy's files, of numbers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mogabench.errors import UserError
from mogabench.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


_BEGINNINGS = (b"\x93NUMPY", b"PK")
"""What the two kinds of files begin with: of others NumPy says that they are Python's objects."""


def read_numpy(file: Path, *, mapped: bool = False) -> NDArray[Any] | dict[str, NDArray[Any]]:
    """The array of an ``.npy`` file, or those of an ``.npz`` file by name, whatever it is called.

    Args:
        file: The file.
        mapped: Whether the array of an ``.npy`` file stays there until it is looked at.

    Raises:
        UserError: It cannot be read, or holds Python's objects.
    """
    try:
        with open_regular(file) as stream:
            if not stream.read(6).startswith(_BEGINNINGS):
                raise ValueError("its content is neither .npy nor .npz")
        loaded = np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return dict(loaded)
    except Exception as error:  # NumPy reads a header as Python, and zip has errors of its own
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"cannot read {file}: {reason}") from error


def read_array(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    """The array of a ``.npy`` file; arguments and errors as of `read_numpy`.

    Raises:
        UserError: Also where it is an archive of several.
    """
    array = read_numpy(path, mapped=mapped)
    if isinstance(array, dict):
        raise UserError(f"{path} is an .npz archive by its content; give one array as .npy")
    return array

"""Arrays out of files of any kind, checked before anything is made of them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from mogabench.data.arrays import read_numpy
from mogabench.errors import UserError
from mogabench.files import is_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mogabench.tasks.mesh.alignment import Array


def read_npz(file: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file, by name; none of Python objects.

    Raises:
        UserError: It cannot be read.
    """
    found = read_numpy(file) if is_file(file) and zipfile.is_zipfile(file) else None
    if not isinstance(found, dict):
        raise UserError(f"{file} is not a .npz file, an archive of NumPy's arrays")
    return found


def as_array(file: Path, name: str, value: Any, shape: Sequence[int]) -> Array:
    """The value as an array of finite floats of that shape; -1 stands for any length but 0.

    Args:
        file: Where it comes from, for the error.
        name: What it is called there.
        value: An array, or lists of lists.
        shape: What it should have.

    Raises:
        UserError: It is something else.
    """
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{file}: {name} should be numbers, rows of the same length") from None
    if array.ndim != len(shape) or any(
        length not in (-1, there) or not there
        for length, there in zip(shape, array.shape, strict=True)
    ):
        raise UserError(
            f"{file}: {name} is {_format_shape(array.shape)} and should be {_format_shape(shape)}"
        )
    if not np.isfinite(array).all():
        raise UserError(f"{file}: {name} holds numbers that are not finite")
    return array


def check_span(file: Path, points: Array, unit: str, low: float, high: float) -> None:
    """Makes sure that shapes have a size that they can have in their unit.

    Another unit would be a factor of 1000 in the errors, which nobody would see after alignment.

    Args:
        file: Where they come from, for the error.
        points: ``(N, K, 3)`` of ``N`` shapes.
        unit: What they should be in.
        low: The least that the median shape may measure, from corner to corner of its box.
        high: The most.

    Raises:
        UserError: It measures less or more.
    """
    span = float(np.median(np.linalg.norm(np.ptp(points, axis=1), axis=1)))
    if not low <= span <= high:
        raise UserError(
            f"{file} is not in {unit}: its points span {span:g}, "
            f"which should be {low:g} to {high:g}"
        )


def check_numbers(file: Path, name: str, numbers: Array, kind: str, count: int) -> None:
    """Makes sure that all the numbers of vertices or triangles are numbers of some.

    Args:
        file: Where they come from, for the error.
        name: What they are called there.
        numbers: Of any shape.
        kind: What they number.
        count: How many there are of that; the first is 0.

    Raises:
        UserError: One is not.
    """
    wrong = numbers[(numbers < 0) | (numbers >= count)]
    if wrong.size:
        raise UserError(
            f"{file}: {name} names the {kind} {wrong[0]:.0f}; they should be 0 to {count - 1}"
        )


def _format_shape(shape: Sequence[int]) -> str:
    return "x".join("N" if length < 0 else str(length) for length in shape) or "no array"

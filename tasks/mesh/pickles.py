"""Body model files as published, MANO's and FLAME's: pickles, of which nothing is ever run.

NumPy's own way of reading its arrays back believes what a file says of their type and length, and
so reads memory that is not there. Here arrays are made from checked numbers alone.
"""

from __future__ import annotations

import io
import math
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from mogabench.errors import UserError
from mogabench.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

_NUMBERS = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)}
_NUMBERS |= {"b1", "f2", "f4", "f8"}
"""The types of arrays that are read."""

_MOST_NUMBERS = 10**8
"""Of a matrix: MANO's largest has 1.8 million, FLAME's 6 million."""


class _Sealed(type):
    """A class that a file cannot change."""

    def __setattr__(cls, name: str, value: Any) -> None:
        raise UserError("it would change a class")


class _Inert(metaclass=_Sealed):
    """Stands for an object of SciPy or chumpy: it has the attributes and does nothing."""


class _Dtype(metaclass=_Sealed):
    """Stands for a type of numbers: its code, such as ``f8``, and the order of its bytes."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = str(code)
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = ">" if state[1] == ">" else "<"


class _Array(metaclass=_Sealed):
    """Stands for an array until all that the file says of it is known."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    """An array as pickle's protocol 5 has it."""
    array = _Array()
    array.state = (1, shape, dtype, order == "F", bytes(content))
    return array


def _scalar(dtype: Any, content: Any) -> Any:
    return _numbers((), dtype, content, is_fortran=False).item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise UserError(f"it would encode text as {encoding}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _new(kind: Any, *_: Any) -> Any:
    if kind is not _Inert:
        raise UserError("it would make an object that no file of arrays needs")
    return _Inert()


_NUMPY: dict[str, Any] = {
    "_reconstruct": _reconstruct,
    "_frombuffer": _from_buffer,
    "scalar": _scalar,
    "ndarray": _Array,
    "dtype": _Dtype,
}
_PLAIN: dict[str, Any] = {
    "object": object,
    "set": set,
    "_reconstructor": _new,
    "encode": _encode,
    "bytes": _no_bytes,
}
_PLAIN_MODULES = {"builtins", "__builtin__", "copyreg", "copy_reg", "_codecs"}


def read_pickle(file: Path) -> Any:
    """What a pickle holds, made of plain Python, NumPy arrays and dictionaries.

    chumpy's arrays and SciPy's sparse matrices, which the published files are full of, become
    NumPy arrays, without either package's code. A ``.npy`` file of a pickled object is read too.

    Raises:
        UserError: The file cannot be read, is no pickle, or holds anything else.
    """
    try:
        content = io.BytesIO(read_regular(file))
        if file.suffix == ".npy":
            _skip_head(content)
        return _as_arrays(_NarrowUnpickler(content, encoding="latin1").load())
    except UserError as error:
        raise UserError(f"{file} is refused: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None
    except Exception as error:  # a damaged pickle may fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{file} is not a readable pickle: {reason}") from None


class _NarrowUnpickler(pickle._Unpickler):
    """Python's own unpickler in Python: the one in C reserves what a file says that it needs."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """What stands for the few names that a file of arrays needs; others are refused."""
        if module.partition(".")[0] == "numpy" and name in _NUMPY:
            return _NUMPY[name]  # type: ignore[no-any-return]
        if module in _PLAIN_MODULES and name in _PLAIN:
            return _PLAIN[name]  # type: ignore[no-any-return]
        if module.partition(".")[0] in ("scipy", "chumpy"):
            return _Inert
        raise UserError(f"it would call {module}.{name}, which no file of arrays needs")


def _skip_head(content: io.BytesIO) -> None:
    """Goes to the pickle behind a ``.npy`` file's head."""
    version = np.lib.format.read_magic(content)
    if version == (1, 0):
        np.lib.format.read_array_header_1_0(content)
    else:
        np.lib.format.read_array_header_2_0(content)


def _as_arrays(value: Any) -> Any:
    """The value with arrays in the place of what stands for them."""
    if isinstance(value, _Array):
        return _array(value.state)
    if isinstance(value, _Inert):
        return _array_of({name: _as_arrays(item) for name, item in value.__dict__.items()})
    if isinstance(value, dict):
        return {name: _as_arrays(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_as_arrays, value))
    if isinstance(value, _Dtype):
        raise UserError("it holds a dtype without an array")
    return value


def _array(state: Any) -> Any:
    """An array of numbers, or the one object in an array of objects."""
    if not isinstance(state, tuple) or len(state) != 5:
        raise UserError("it holds an array without content")
    _, shape, dtype, is_fortran, content = state
    if isinstance(dtype, _Dtype) and dtype.code.startswith("O"):
        if not isinstance(content, list) or len(content) != 1:
            raise UserError("it holds an array of several objects")
        return _as_arrays(content[0])
    return _numbers(shape, dtype, content, is_fortran=bool(is_fortran))


def _numbers(shape: Any, dtype: Any, content: Any, *, is_fortran: bool) -> NDArray[Any]:
    """An array from its bytes, which must be as many as its shape and type need.

    Raises:
        UserError: They are not, or it is no array of numbers.
    """
    if not isinstance(dtype, _Dtype) or dtype.code not in _NUMBERS:
        raise UserError(f"it holds an array of {getattr(dtype, 'code', dtype)}, not of numbers")
    if isinstance(content, str):  # Python 2's bytes
        content = content.encode("latin1")
    if not isinstance(content, bytes) or not _is_shape(shape):
        raise UserError("it holds an array without a shape or content")
    kind = np.dtype(f"{dtype.order}{dtype.code}")
    if len(content) != math.prod(shape) * kind.itemsize:
        raise UserError(f"it holds an array of {len(content)} bytes for the shape {shape}")
    flat = np.frombuffer(content, kind)
    return flat.reshape(shape, order="F" if is_fortran else "C").astype(kind.newbyteorder("="))


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, tuple) and all(
        isinstance(side, int) and 0 <= side <= _MOST_NUMBERS for side in shape
    )


def _array_of(state: dict[str, Any]) -> Any:
    """The array that an object of SciPy or chumpy stands for, from its attributes."""
    if {"_shape", "data", "indices", "indptr"} <= set(state):
        return _dense(state)
    if "x" in state:
        return np.asarray(state["x"])
    if {"a", "idxs", "preferred_shape"} <= set(state):
        whole = np.asarray(state["a"])
        return whole.ravel()[state["idxs"]].reshape(state["preferred_shape"])
    raise UserError(f"cannot rebuild an array from the attributes {', '.join(sorted(state)[:4])}")


def _dense(state: dict[str, Any]) -> Any:
    """A matrix of compressed columns, SciPy's ``csc_matrix``.

    Raises:
        UserError: Its parts do not fit each other.
    """
    shape, data, rows, ends = (state[name] for name in ("_shape", "data", "indices", "indptr"))
    if not _is_shape(shape) or len(shape) != 2 or math.prod(shape) > _MOST_NUMBERS:
        raise UserError(f"it holds a sparse matrix of the shape {shape}")
    if not all(isinstance(part, np.ndarray) and part.ndim == 1 for part in (data, rows, ends)):
        raise UserError("it holds a sparse matrix whose parts are not lists of numbers")
    counts = np.diff(ends)
    if (
        len(counts) != shape[1]
        or (counts < 0).any()
        or not (counts.sum() == len(data) == len(rows))
    ):
        raise UserError("it holds a sparse matrix whose parts do not fit each other")
    matrix = np.zeros(shape)
    np.add.at(matrix, (rows, np.repeat(np.arange(shape[1]), counts)), data)
    return matrix

"""Body model files as published, MANO's and FLAME's: pickles, of which nothing is ever run."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from mogabench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

_NUMPY = {
    ("multiarray", "_reconstruct"),
    ("multiarray", "scalar"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}
_PLAIN = {"object", "set", "_reconstructor", "encode"}
_PLAIN_MODULES = {"builtins", "__builtin__", "copyreg", "copy_reg", "_codecs"}


class _Inert:
    """Stands for an object of SciPy or chumpy: it has the attributes and does nothing."""


def read_pickle(file: Path) -> Any:
    """What a pickle holds, made of plain Python, NumPy arrays and dictionaries.

    chumpy's arrays and SciPy's sparse matrices, which the published files are full of, become
    NumPy arrays, without either package's code. A ``.npy`` file of a pickled object is read too.

    Raises:
        UserError: The file cannot be read, is no pickle, or holds anything else.
    """
    try:
        content = io.BytesIO(file.read_bytes())
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


class _NarrowUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The few names that a file of arrays needs, others are refused."""
        package, _, part = module.rpartition(".")
        if (module, name) in _NUMPY or (package.startswith("numpy") and (part, name) in _NUMPY):
            return super().find_class(module, name)
        if module in _PLAIN_MODULES and name in _PLAIN:
            return super().find_class(module, name)
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
    if isinstance(value, _Inert):
        return _array_of(value.__dict__)
    if isinstance(value, dict):
        return {name: _as_arrays(item) for name, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        return _as_arrays(value.item())
    return value


def _array_of(state: dict[str, Any]) -> Any:
    """The array that an object of SciPy or chumpy stands for, from its attributes."""
    if {"_shape", "data", "indices", "indptr"} <= set(state):
        return _dense(state)
    if "x" in state:
        return np.asarray(state["x"])
    if {"a", "idxs", "preferred_shape"} <= set(state):
        whole = np.asarray(_as_arrays(state["a"]))
        return whole.ravel()[state["idxs"]].reshape(state["preferred_shape"])
    raise UserError(f"no array is known that is made of {', '.join(sorted(state)[:4])}")


def _dense(state: dict[str, Any]) -> Any:
    """A matrix of compressed columns, SciPy's ``csc_matrix``."""
    matrix = np.zeros(state["_shape"])
    columns = np.repeat(np.arange(matrix.shape[1]), np.diff(state["indptr"]))
    np.add.at(matrix, (state["indices"], columns), state["data"])
    return matrix

"""Where body models are looked for, and what they must hold."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mogabench.catalogue import cache_folder
from mogabench.errors import UserError
from mogabench.mesh.pickles import read_pickle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

FOLDER = "body_models"
"""In the data's folder or in the cache folder."""


@dataclass(frozen=True)
class Published:
    """A file that its owners give to those who register, and that may not be passed on.

    Attributes:
        names: What it may be called; the last one is how our own format calls it.
        what: What it is.
        source: Where one registers.
    """

    names: tuple[str, ...]
    what: str
    source: str

    def find(self, data: Path) -> Path:
        """The file in the data's folder or the cache folder.

        Raises:
            UserError: It is in neither.
        """
        folders = [data / FOLDER, cache_folder() / FOLDER]
        for folder in folders:
            for name in self.names:
                if (folder / name).is_file():
                    return folder / name
        raise UserError(
            f"{self.names[0]} is missing: {self.what}. Register at {self.source}, download it, "
            f"and put it into {folders[0]} or {folders[1]}"
        )


MANO = Published(
    ("MANO_RIGHT.pkl", "hand_model.npz"), "MANO's right hand", "https://mano.is.tue.mpg.de"
)
FLAME = Published(
    ("generic_model.pkl", "FLAME_NEUTRAL.pkl", "head_model.npz"),
    "FLAME 2019 or 2020, a head",
    "https://flame.is.tue.mpg.de",
)
STATIC_LANDMARKS = Published(
    ("flame_static_embedding.pkl", "flame_static_embedding.npz"),
    "where FLAME has 51 landmarks, from RingNet or SMPL-X",
    "https://flame.is.tue.mpg.de",
)
MOVING_LANDMARKS = Published(
    ("flame_dynamic_embedding.npy", "flame_dynamic_embedding.npz"),
    "where FLAME has the 17 landmarks of the face's outline, from RingNet or SMPL-X",
    "https://flame.is.tue.mpg.de",
)

Arrays = dict[str, "NDArray[Any]"]


def read_arrays(file: Path, shapes: Mapping[str, tuple[int | None, ...]]) -> Arrays:
    """The arrays of a body model's file.

    Args:
        file: A published pickle, or an ``.npz`` with the same names.
        shapes: Those that must be there; None for a length of any size.

    Raises:
        UserError: The file cannot be read, or an array is missing or of another shape.
    """
    content = _read_npz(file) if file.suffix == ".npz" else read_pickle(file)
    if not isinstance(content, dict):
        raise UserError(f"{file} is no body model: it holds no arrays by name")
    for name, shape in shapes.items():
        found = getattr(content.get(name), "shape", None)
        if found is None:
            raise UserError(f"{file} has no array {name}, which this body model needs")
        if len(found) != len(shape) or any(
            wanted not in (None, length) for wanted, length in zip(shape, found, strict=True)
        ):
            raise UserError(f"{file}: {name} is {_written(found)} and should be {_written(shape)}")
    return {name: array for name, array in content.items() if isinstance(array, np.ndarray)}


def _read_npz(file: Path) -> dict[str, Any]:
    try:
        with np.load(file, allow_pickle=False) as content:
            return dict(content)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {file}: {' '.join(str(error).split())}") from None


def _written(shape: tuple[int | None, ...]) -> str:
    return "x".join("N" if length is None else str(length) for length in shape) or "a number"

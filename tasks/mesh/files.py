"""Finding the files of body models and checking their content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mogabench.catalogue import cache_folder
from mogabench.errors import UserError
from mogabench.tasks.mesh.arrays import as_array, read_npz
from mogabench.tasks.mesh.pickles import read_pickle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
Shape = tuple["int | str", ...]
"""A word stands for a length, equal wherever the word occurs."""


def read_arrays(file: Path, shapes: Mapping[str, Shape], optional: Sequence[str] = ()) -> Arrays:
    """The arrays of a body model's file.

    Args:
        file: A published pickle, or an ``.npz`` with the same names.
        shapes: By the names of the arrays; where two do not fit, the later one is to blame.
        optional: Those that may be missing.

    Returns:
        Those arrays, of floats.

    Raises:
        UserError: The file cannot be read, or an array is missing or of another shape.
    """
    content = read_npz(file) if file.suffix == ".npz" else read_pickle(file)
    if not isinstance(content, dict):
        raise UserError(f"{file} is not a body model: it holds no arrays by name")
    arrays: Arrays = {}
    lengths: dict[str, int] = {}
    for name, shape in shapes.items():
        if name in content:
            wanted = [lengths.get(side, -1) if isinstance(side, str) else side for side in shape]
            arrays[name] = as_array(file, name, content[name], wanted)
            sides = zip(shape, arrays[name].shape, strict=True)
            lengths |= {side: length for side, length in sides if isinstance(side, str)}
        elif name not in optional:
            raise UserError(f"{file} has no array {name}, which this body model needs")
    return arrays

"""Faces: FFHQ with fitted FLAME parameters to train on, Stirling/ESRC's scans to evaluate."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mogabench.errors import UserError
from mogabench.mesh.shots import Exam, Lesson, Lessons, as_array, identity
from mogabench.mesh.surface import LANDMARKS

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.mesh.alignment import Array

_ANNOTATIONS = "ffhq_annotations.npz"
_FFHQ_IMAGES = 70_000
_FFHQ_SHAPES = {
    "global_pose": (3,),
    "jaw_pose": (3,),
    "betas": (100,),
    "expression": (50,),
    "keypoints2d": (73, 2),
}
_STIRLING_IMAGES = 656
"""Of good quality, HQ; the others, LQ, are 1344."""


def read_lessons(root: Path) -> Lessons:
    """Reads ``ffhq/ffhq_annotations.npz``; the images are in ``ffhq/ffhq_global_images_1024/``.

    Args:
        root: The folder of ``ffhq/``.

    Raises:
        UserError: A file is missing or malformed, or images are missing.
    """
    file = root / "ffhq" / _ANNOTATIONS
    try:
        with np.load(file, allow_pickle=False) as content:
            arrays = dict(content)
    except FileNotFoundError:
        raise UserError(
            f"there is no {file}; --data takes a folder with ffhq/ and stirling/, the first with "
            f"MMHuman3D's {_ANNOTATIONS} and FFHQ's images"
        ) from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {file}: {' '.join(str(error).split())}") from None
    for name in ("img_fnames", *_FFHQ_SHAPES):
        if name not in arrays:
            raise UserError(f"{file} has no array {name}")
    names = [str(name) for name in arrays["img_fnames"]]
    pose, jaw, betas, expression, keypoints = (
        as_array(file, name, arrays[name], (len(names), *shape))
        for name, shape in _FFHQ_SHAPES.items()
    )
    folder = file.parent / "ffhq_global_images_1024"
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    missing = [name for name in names if name not in there]
    if missing or not names:
        raise UserError(
            f"{len(missing)} of {len(names)} images are missing in {folder}"
            + f", such as {missing[0]}" * bool(missing)
        )
    files = tuple(folder / name for name in names)
    rotations = np.stack([pose, jaw], axis=1)
    known = "ffhq" if len(files) == _FFHQ_IMAGES else f"folder:{root.resolve().name}"
    return Lessons(
        files,
        tuple(map(Lesson, keypoints, rotations, betas, expression)),
        identity(known, "train", files, keypoints, rotations, betas, expression),
    )


@dataclass(frozen=True)
class Scan:
    """A scanned face in mm.

    Attributes:
        file: Its mesh, of which only the vertices count.
        landmarks: ``(7, 3)``, in the order of `mogabench.mesh.surface.LANDMARKS`.
    """

    file: Path
    landmarks: Array

    def points(self) -> Array:
        """The scan's vertices ``(P, 3)``.

        Raises:
            UserError: The file cannot be read.
        """
        return _vertices(self.file)


def read_exam(root: Path) -> Exam:
    """Reads Stirling/ESRC's images of good quality, ``stirling/Subset_2D_FG2018/HQ/``.

    The truth of an image is the scan of the same person, ``stirling/{F,M}_3D_N/NAME_N.obj`` with
    landmarks in ``stirling/annotations/{F,M}_3D_N/NAME_N.lnd``. A few persons were never scanned;
    their images are left out, as by everybody.

    Args:
        root: The folder of ``stirling/``.

    Raises:
        UserError: There are no such images with scans, or a landmark file is malformed.
    """
    folder = root / "stirling"
    images = folder / "Subset_2D_FG2018" / "HQ"
    if not images.is_dir():
        raise UserError(
            f"there is no {images}; ask for the data at https://pics.stir.ac.uk/ESRC and put it "
            f"into {folder}: Subset_2D_FG2018/, F_3D_N/, M_3D_N/ and annotations/"
        )
    files, scans = [], []
    for file in sorted(path for path in images.iterdir() if path.suffix.lower() in _PICTURES):
        scan = _scan_of(folder, file.name)
        if scan is not None:
            files.append(file)
            scans.append(scan)
    if not files:
        raise UserError(f"no image in {images} has a scan and landmarks in {folder}")
    known = "stirling-esrc" if len(files) == _STIRLING_IMAGES else f"folder:{root.resolve().name}"
    marks = np.stack([scan.landmarks for scan in scans])
    return Exam(tuple(files), tuple(scans), identity(known, "HQ", files, marks))


_PICTURES = {".jpg", ".jpeg", ".png", ".bmp"}


def _scan_of(folder: Path, image: str) -> Scan | None:
    """The scan of the person in an image such as ``F1001_xyz.jpg``, if there is one."""
    person, part = image.partition("_")[0], f"{image[0].upper()}_3D_N"
    for name in (person.lower(), person.upper()):
        mesh = folder / part / f"{name}_N.obj"
        marks = folder / "annotations" / part / f"{name}_N.lnd"
        if mesh.is_file() and marks.is_file():
            return Scan(mesh, _landmarks(marks))
    return None


def _landmarks(file: Path) -> Array:
    """The seven landmarks of a file with a number and three coordinates on each line."""
    try:
        lines = file.read_text("utf-8").split("\n")
        rows = [[float(word) for word in line.split()[1:]] for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {error}") from None
    return as_array(file, "the list", rows, (len(LANDMARKS), 3))


def _vertices(file: Path) -> Array:
    try:
        with file.open("rb") as lines:
            rows = [line.split()[1:4] for line in lines if line.startswith(b"v ")]
        points = np.array(rows, dtype=float)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {error}") from None
    if points.ndim != 2 or points.shape[1] != 3:
        raise UserError(f"{file} has no vertices: lines of 'v x y z'")
    return points

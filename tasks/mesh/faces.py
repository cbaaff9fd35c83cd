"""Faces: FFHQ with fitted FLAME parameters to train on, Stirling/ESRC's scans to evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mogabench.data.identity import data_name
from mogabench.errors import UserError
from mogabench.tasks.mesh.arrays import as_array, check_span, read_npz
from mogabench.tasks.mesh.samples import Target, TestSamples, TrainSamples, identity
from mogabench.tasks.mesh.surface import LANDMARKS, in_face

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.tasks.mesh.alignment import Array

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

_SPAN = (30.0, 1000.0)
"""Millimetres that the landmarks of a face may measure: neither metres nor centimetres do."""

_PICTURES = {".jpg", ".jpeg", ".png", ".bmp"}


def read_train_samples(root: Path) -> TrainSamples:
    """Reads ``ffhq/ffhq_annotations.npz``; the images are in ``ffhq/ffhq_global_images_1024/``.

    Args:
        root: The folder of ``ffhq/``.

    Raises:
        UserError: A file is missing or malformed, or images are missing.
    """
    file = root / "ffhq" / _ANNOTATIONS
    if not file.is_file():
        raise UserError(
            f"there is no {file}; --data takes a folder with ffhq/ and stirling/, the first with "
            f"MMHuman3D's {_ANNOTATIONS} and FFHQ's images"
        )
    arrays = read_npz(file)
    for name in ("img_fnames", *_FFHQ_SHAPES):
        if name not in arrays:
            raise UserError(f"{file} has no array {name}")
    names = [str(name) for name in arrays["img_fnames"].ravel()]
    if not names:
        raise UserError(f"{file} names no image in img_fnames")
    pose, jaw, betas, expression, keypoints = (
        as_array(file, name, arrays[name], (len(names), *shape))
        for name, shape in _FFHQ_SHAPES.items()
    )
    folder = file.parent / "ffhq_global_images_1024"
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    missing = [name for name in names if name not in there]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(names)} images are missing in {folder}, such as {missing[0]}"
        )
    files = tuple(folder / name for name in names)
    rotations = np.stack([pose, jaw], axis=1)
    name = data_name(root, "ffhq" if len(files) == _FFHQ_IMAGES else None)
    return TrainSamples(
        files,
        tuple(map(Target, keypoints, rotations, betas, expression)),
        identity(name, "train", files, keypoints, rotations, betas, expression),
    )


@dataclass(frozen=True)
class Scan:
    """A scanned face in mm.

    Attributes:
        file: Its mesh, of which only the vertices count.
        landmarks: ``(7, 3)``, in the order of `mogabench.tasks.mesh.surface.LANDMARKS`.
    """

    file: Path
    landmarks: Array

    def points(self) -> Array:
        """The scan's vertices ``(P, 3)``.

        Raises:
            UserError: The file cannot be read, or none of them is of the face.
        """
        try:
            with self.file.open("rb") as lines:
                rows = [line.split()[1:4] for line in lines if line.startswith(b"v ")]
        except OSError as error:
            raise UserError(f"cannot read {self.file}: {error.strerror}") from None
        points = as_array(self.file, "the list of vertices, 'v x y z',", rows, (-1, 3))
        if not in_face(points, self.landmarks).any():
            raise UserError(f"{self.file} has no vertex near its landmarks; both should be in mm")
        return points


def read_test_samples(root: Path) -> TestSamples:
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
    name = data_name(root, "stirling-esrc" if len(files) == _STIRLING_IMAGES else None)
    marks = np.stack([scan.landmarks for scan in scans])
    return TestSamples(tuple(files), tuple(scans), identity(name, "test", files, marks))


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
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{file} should have lines of a number and 'x y z'") from None
    marks = as_array(file, "the list", rows, (len(LANDMARKS), 3))
    check_span(file, marks[None], "mm", *_SPAN)
    return marks

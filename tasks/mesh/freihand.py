"""FreiHAND (Zimmermann et al., ICCV 2019): right hands with MANO's parameters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mogabench.data.identity import data_name
from mogabench.errors import UserError
from mogabench.tasks.mesh.arrays import as_array, check_span
from mogabench.tasks.mesh.body import MANO_TIPS
from mogabench.tasks.mesh.samples import Target, TestSamples, TrainSamples, identity

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.tasks.mesh.alignment import Array

SOURCE = "https://lmb.informatik.uni-freiburg.de/projects/freihand/"

_NAME = "freihand"
_IMAGES = {"training": 130_240, "evaluation": 3_960}
_WRIST = (0.029402047395706177, -0.027920207008719444, 0.5870807766914368)
"""Of a training hand, in metres, as projects that use the data show it in their documentation."""
_TIPS = (4, 8, 12, 16, 20)
"""Among the key points those that are vertices of MANO's mesh."""
_NEAR = 0.005
"""Metres that a tip may lie from its vertex; rounding alone would be less."""
_SPAN = (0.02, 1.0)
"""Metres that hands may measure, so that neither centimetres nor millimetres pass for metres."""
_KEYPOINTS, _JOINTS, _SHAPES = 21, 16, 10


def read_train_samples(root: Path, mean_pose: Array) -> TrainSamples:
    """Reads ``training_{K,mano,xyz}.json`` and the images in ``training/rgb/``.

    There are four times as many images as annotations, on four backgrounds. All are for training:
    the evaluation is of other hands.

    Args:
        root: FreiHAND's folder.
        mean_pose: ``(15, 3)``, what the annotated poses are added to; the body model has it.

    Raises:
        UserError: A file is missing or malformed.
    """
    file = root / "training_K.json"
    cameras = as_array(file, "the list", _read(file), (-1, 3, 3))
    count = len(cameras)
    file = root / "training_xyz.json"
    places = as_array(file, "the list", _read(file), (count, _KEYPOINTS, 3))
    check_span(file, places, "metres", *_SPAN)
    behind = (places @ cameras.swapaxes(1, 2))[..., 2].min(1) <= 0
    if behind.any():
        raise UserError(f"{file}: hand {behind.argmax()} is not in front of its camera")
    file = root / "training_mano.json"
    mano = as_array(file, "the list", _unwrap(_read(file)), (count, 61))
    rotations = mano[:, : 3 * _JOINTS].reshape(count, _JOINTS, 3).copy()
    rotations[:, 1:] += mean_pose
    files = _images(root, "training", count)
    targets = zip(
        project(places, cameras),
        rotations,
        mano[:, 3 * _JOINTS : 3 * _JOINTS + _SHAPES],
        np.zeros((count, 0)),
        strict=True,
    )
    known = np.abs(places[:, 0] - _WRIST).max(1).min() < 1e-6
    name = _name(root, "training", files, known)
    return TrainSamples(
        files,
        tuple(Target(*target) for target in targets),
        identity(name, "train", files, places, mano),
    )


def read_test_samples(root: Path, *, needs_truth: bool = True) -> TestSamples:
    """Reads ``evaluation_{xyz,verts}.json`` and the images in ``evaluation/rgb/``.

    Args:
        root: FreiHAND's folder.
        needs_truth: Whether the two files must be there; they are a download of their own.

    Returns:
        The truth of an image is its key points ``(21, 3)`` and vertices ``(V, 3)`` in metres.

    Raises:
        UserError: A file is missing or malformed.
    """
    truths = [root / "evaluation_xyz.json", root / "evaluation_verts.json"]
    if not needs_truth and not any(file.exists() for file in truths):
        files = _images(root, "evaluation", 1)
        return TestSamples(files, (), identity(data_name(root), "test", files))
    file = truths[0]
    places = as_array(file, "the list", _read(file), (-1, _KEYPOINTS, 3))
    check_span(file, places, "metres", *_SPAN)
    file = truths[1]
    vertices = as_array(file, "the list", _read(file), (len(places), -1, 3))
    check_span(file, vertices, "metres", *_SPAN)
    files = _images(root, "evaluation", len(places))
    if len(files) != len(places):
        raise UserError(f"{root / 'evaluation'} has {len(files)} images, not {len(places)}")
    name = _name(root, "evaluation", files, _are_manos(places, vertices))
    truth = tuple(zip(places, vertices, strict=True))
    return TestSamples(files, truth, identity(name, "test", files, places, vertices))


def project(points: Array, cameras: Array) -> Array:
    """Points ``(N, K, 3)`` in pixels ``(N, K, 2)``, seen by cameras ``(N, 3, 3)``."""
    seen = points @ cameras.swapaxes(1, 2)
    pixels: Array = seen[..., :2] / seen[..., 2:]
    return pixels


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"there is no {file}; --data takes FreiHAND's folder, from {SOURCE} (the evaluation's "
            "annotations are a file of their own there; without it an evaluation writes "
            "--predictions only), or sample"
        ) from None
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not valid JSON: {error}") from None


def _unwrap(entries: Any) -> Any:
    """FreiHAND has each hand's parameters in a list of one."""
    lists = isinstance(entries, list)
    if lists and all(isinstance(entry, list) and len(entry) == 1 for entry in entries):
        return [entry[0] for entry in entries]
    return entries


def _images(root: Path, split: str, annotations: int) -> tuple[Path, ...]:
    folder = root / split / "rgb"
    there = {path.name for path in folder.glob("*.jpg")}
    if not there or len(there) % annotations:
        raise UserError(
            f"{folder} should have the images of {annotations} annotations, on as many "
            f"backgrounds each, not {len(there)} .jpg files"
        )
    names = [f"{number:08}.jpg" for number in range(len(there))]
    missing = [name for name in names if name not in there]
    if missing:
        raise UserError(f"{len(missing)} images are missing in {folder}, such as {missing[0]}")
    return tuple(folder / name for name in names)


def _are_manos(places: Array, vertices: Array) -> bool:
    """Whether the tips of the fingers are those of MANO's mesh, which lies in the same place."""
    if vertices.shape[1] <= max(MANO_TIPS):
        return False
    distances = places[:, _TIPS] - vertices[:, MANO_TIPS]
    return bool(np.linalg.norm(distances, axis=2).max() < _NEAR)


def _name(root: Path, split: str, files: tuple[Path, ...], known: bool) -> str:
    """``freihand`` for as many images whose annotations are known as its."""
    return data_name(root, _NAME if known and len(files) == _IMAGES[split] else None)

"""Training and test samples, as all data sets of hands and faces give them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mogabench.records import Data

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mogabench.tasks.mesh.alignment import Array


@dataclass(frozen=True)
class Target:
    """The annotation of a training image.

    Attributes:
        keypoints: ``(K, 2)`` in pixels of the image.
        rotations: ``(R, 3)``, axis and angle of each rotation of the network's code.
        shape: ``(S,)`` coefficients.
        expression: ``(E,)`` coefficients, none of a hand.
    """

    keypoints: Array
    rotations: Array
    shape: Array
    expression: Array


@dataclass(frozen=True)
class TrainSamples:
    """A training set; several images may have the same target.

    Attributes:
        files: The images.
        targets: Their annotations; image ``i`` has target ``i % len(targets)``.
        identity: What a record calls it.
    """

    files: tuple[Path, ...]
    targets: tuple[Target, ...]
    identity: Data


@dataclass(frozen=True)
class TestSamples:
    """A test set.

    Attributes:
        files: The images.
        truth: What to find in each, as the method's metric knows it; empty where nothing says it.
        identity: What a record calls it.
    """

    files: tuple[Path, ...]
    truth: tuple[Any, ...]
    identity: Data


def identity(
    name: str, split: Literal["train", "test"], files: Sequence[Path], *annotations: Array
) -> Data:
    """What a record calls a data set, with a digest of its file names and annotations."""
    digest = hashlib.sha256(json.dumps([file.name for file in files]).encode())
    for array in annotations:
        digest.update(np.ascontiguousarray(array).tobytes())
    return Data(name=name, split=split, samples=len(files), digest=digest.hexdigest())

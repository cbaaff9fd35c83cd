"""The body model, the data sets and the metric of each method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mogabench.data.identity import SAMPLE, data_root
from mogabench.errors import UserError
from mogabench.tasks.mesh import faces, freihand
from mogabench.tasks.mesh.body import Hand, Head
from mogabench.tasks.mesh.metric import FaceErrors, HandErrors
from mogabench.tasks.mesh.sample import sample_hands

if TYPE_CHECKING:
    from mogabench.tasks.mesh.samples import TestSamples, TrainSamples


def open_data(data: str, method: str) -> Hands | Faces:
    """The body model and the data sets of a method.

    Args:
        data: Their folder, or ``sample``.
        method: ``expose_hand`` or ``expose_face``.

    Raises:
        UserError: They are missing, or not what they should be.
    """
    is_hand = method == "expose_hand"
    if data == SAMPLE and not is_hand:
        raise UserError("the sample has hands only: --method expose_hand")
    root = data_root(data, sample_hands)
    return Hands(root) if is_hand else Faces(root)


def read_body(method: str, data: str = "") -> Hand | Head:
    """The body model of a method, without a data set.

    Args:
        method: ``expose_hand`` or ``expose_face``.
        data: What records call the data that a network was trained on; that of the sample has a
            body model of its own.

    Raises:
        UserError: It is neither in the current folder nor in the cache folder.
    """
    if method != "expose_hand":
        return Head.read(Path())
    sample = sample_hands() if data.startswith(f"{SAMPLE}-") else None
    return Hand.read(sample or Path())


class Hands:
    """MANO and FreiHAND.

    Args:
        root: FreiHAND's folder.

    Raises:
        UserError: There is no such folder, or MANO is missing or not what it should be.
    """

    def __init__(self, root: Path) -> None:
        self.root = _existing(root, "FreiHAND's folder, or sample")
        self.body = Hand.read(root)

    def train_samples(self) -> TrainSamples:
        """What to train on.

        Raises:
            UserError: It is missing or malformed.
        """
        return freihand.read_train_samples(self.root, self.body.mean_pose.double().numpy())

    def test_samples(self, *, needs_truth: bool = True) -> TestSamples:
        """What to evaluate.

        Args:
            needs_truth: Whether there is something to measure by; else images are enough.

        Raises:
            UserError: It is missing or malformed.
        """
        return freihand.read_test_samples(self.root, needs_truth=needs_truth)

    def metric(self, samples: TestSamples) -> HandErrors:
        """PA-MPJPE and PA-MPVPE."""
        return HandErrors(samples, len(self.body.template))


class Faces:
    """FLAME, FFHQ and Stirling/ESRC.

    Args:
        root: The folder of ``ffhq/`` and ``stirling/``.

    Raises:
        UserError: There is no such folder, or FLAME is missing or not what it should be.
    """

    def __init__(self, root: Path) -> None:
        self.root = _existing(root, "the folder of ffhq/ and stirling/")
        self.body = Head.read(root)

    def train_samples(self) -> TrainSamples:
        """See `Hands`."""
        return faces.read_train_samples(self.root)

    def test_samples(self, *, needs_truth: bool = True) -> TestSamples:
        """See `Hands`; faces without a scan are left out in any case."""
        return faces.read_test_samples(self.root)

    def metric(self, samples: TestSamples) -> FaceErrors:
        """The distance from the scans."""
        return FaceErrors(samples, self.body.faces)


def _existing(root: Path, expected: str) -> Path:
    if not root.is_dir():
        raise UserError(f"there is no folder {root}; --data takes {expected}")
    return root

"""What belongs together: a body model, its data sets and its metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.errors import UserError
from mogabench.mesh import faces, freihand
from mogabench.mesh.body import Hand, Head
from mogabench.mesh.metric import FaceErrors, HandErrors

if TYPE_CHECKING:
    from pathlib import Path

    from mogabench.mesh.lessons import Exam, Lessons


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

    def lessons(self) -> Lessons:
        """What to train on.

        Raises:
            UserError: It is missing or malformed.
        """
        return freihand.read_lessons(self.root, self.body.mean_pose.double().numpy())

    def exam(self) -> Exam:
        """What to evaluate.

        Raises:
            UserError: It is missing or malformed.
        """
        return freihand.read_exam(self.root)

    def metric(self, exam: Exam) -> HandErrors:
        """PA-MPJPE and PA-MPVPE."""
        return HandErrors(exam, len(self.body.template))


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

    def lessons(self) -> Lessons:
        """See `Hands`."""
        return faces.read_lessons(self.root)

    def exam(self) -> Exam:
        """See `Hands`."""
        return faces.read_exam(self.root)

    def metric(self, exam: Exam) -> FaceErrors:
        """The distance from the scans."""
        return FaceErrors(exam, self.body.faces)


def _existing(root: Path, expected: str) -> Path:
    if not root.is_dir():
        raise UserError(f"there is no folder {root}; --data takes {expected}")
    return root

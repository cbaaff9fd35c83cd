"""Recorded sequences of moving digits, such as those of Moving MNIST's test file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mogabench.data.arrays import read_array
from mogabench.engine.task import Source
from mogabench.errors import UserError
from mogabench.records import Data
from mogabench.tasks.video.frames import check_white

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

RECORDED = "*test_seq.npy"
"""Names of such files."""

_OFFICIAL_TEST = "mnist_test_seq.npy"
_OFFICIAL_TEST_MD5 = "be083ec986bfe91a449d63653c411eb2"
"""As torchvision checks it."""


class RecordedFrames:
    """The sequences of a file such as ``mnist_test_seq.npy``, which stays on the disk.

    Args:
        path: The file, for errors.
        video: Frames ``(T, N, H, W)`` of bytes, or of floats that are bytes, as OpenSTL draws them.
    """

    def __init__(self, path: Path, video: NDArray[Any]) -> None:
        self.path, self.video = path, video

    def __len__(self) -> int:
        return len(self.video[0])

    def __getitem__(self, index: int) -> Tensor:
        """Frames ``(T, 1, H, W)`` of bytes.

        Raises:
            UserError: They have numbers that are no bytes.
        """
        frames = np.array(self.video[:, index])
        with np.errstate(invalid="ignore"):  # of what is no byte, which is refused
            pixels = frames.astype(np.uint8)
        if not np.array_equal(pixels, frames):
            raise UserError(
                f"{self.path} holds {frames.dtype} from {frames.min():g} to {frames.max():g} in "
                f"sequence {index}; it should hold whole numbers from 0 to 255"
            )
        return torch.from_numpy(pixels).unsqueeze(1)


def find_recorded(folder: Path) -> Path | None:
    """A folder's file of recorded sequences: Moving MNIST's, or the only one.

    Raises:
        UserError: There are several others.
    """
    found = sorted(folder.glob(RECORDED))
    official = folder / _OFFICIAL_TEST
    if official in found:
        return official
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise UserError(f"{folder} holds {names}: keep only the one to evaluate on there")
    return found[0] if found else None


def open_recorded(path: Path, frames: int, canvas: int) -> Source:
    """Opens a file of recorded sequences.

    Args:
        path: Of an array ``(T, N, H, W)``.
        frames: That a sequence must have.
        canvas: Height and width that they must have.

    Raises:
        UserError: It cannot be read, is of another shape or type, or holds 0 and 1 alone.
    """
    video = read_array(path, mapped=True)
    is_number = video.dtype == np.uint8 or np.issubdtype(video.dtype, np.floating)
    if not is_number or (video.shape[:1], video.shape[2:]) != ((frames,), (canvas,) * 2):
        raise UserError(
            f"{path} holds {video.dtype} {video.shape}; it should hold uint8 "
            f"({frames}, N, {canvas}, {canvas})"
        )
    check_white(path, video)
    with path.open("rb") as file:
        official = hashlib.file_digest(file, "md5").hexdigest() == _OFFICIAL_TEST_MD5
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = "moving-mnist" if official else f"file:{path.name}"
    identity = Data(name=name, split="test", samples=video.shape[1], digest=digest)
    return Source(RecordedFrames(path, video), identity, _stack)


def _stack(frames: list[Tensor]) -> dict[str, Tensor]:
    return {"frames": torch.stack(frames)}

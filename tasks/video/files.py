"""Sequences in video files, decoded by OpenCV."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mogabench.data.images import ImageError
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
"""The endings of their names."""

_COLOURS = {1: cv2.COLOR_BGR2GRAY, 3: cv2.COLOR_BGR2RGB}
"""What OpenCV's frames become, by channels."""


@dataclass(frozen=True)
class VideoFile:
    """The one clip of a file.

    Attributes:
        file: The file.
        size: Channels, height and width of a frame.
    """

    file: Path
    size: tuple[int, int, int]

    def read(self, clip: int, start: int, length: int) -> NDArray[Any]:
        """Frames ``(length, C, H, W)`` of bytes, in RGB or grey.

        Raises:
            ImageError: A frame cannot be decoded.
        """
        with _opened(self.file) as video:
            # Seeking goes to a key frame in many formats, so frames are counted from the first.
            for _ in range(start):
                video.grab()
            return np.stack([self._frame(video) for _ in range(length)])

    def _frame(self, video: cv2.VideoCapture) -> NDArray[Any]:
        is_read, image = video.read()
        if not is_read:
            raise ImageError(str(self.file), "a frame cannot be decoded", what="video")
        channels, height, width = self.size
        if image.shape[:2] != (height, width):
            raise ImageError(str(self.file), "its frames are of several sizes", what="video")
        pixels = cv2.cvtColor(image, _COLOURS[channels])
        return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def open_video(file: Path, size: tuple[int, int, int], notes: list[str]) -> tuple[VideoFile, int]:
    """Decodes a file once, since what its header says of its length may be wrong.

    Args:
        file: The file.
        size: Channels, height and width that the frames should have.
        notes: Is told where fewer frames can be decoded than the header says.

    Returns:
        The clip and its number of frames.

    Raises:
        UserError: It cannot be decoded, or its frames are of another size.
    """
    if size[0] not in _COLOURS:
        raise UserError(f"frames of videos have 1 or 3 channels, not {size[0]} (--size)")
    with _opened(file) as video:
        is_read, image = video.read()
        if not is_read:
            raise UserError(f"cannot read the video {file}")
        height, width = image.shape[:2]
        if (height, width) != size[1:]:
            raise UserError(
                f"{file} has frames of {height}x{width} (height, width), but the network takes "
                f"{size[1]}x{size[2]}: give --size Tx{size[0]}x{height}x{width}, T being the "
                "frames that are seen"
            )
        frames = 1
        while video.grab():
            frames += 1
        stated = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    if frames < stated:
        notes.append(f"{frames} of the {stated} frames of {file.name} can be decoded")
    return VideoFile(file, size), frames


@contextmanager
def _opened(file: Path) -> Iterator[cv2.VideoCapture]:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its errors become ours
    video = cv2.VideoCapture(str(file))
    try:
        yield video
    finally:
        video.release()

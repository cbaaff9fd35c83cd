"""Sequences in video files, decoded by OpenCV."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mogabench.data.images import ImageError
from mogabench.errors import UserError

if TYPE_CHECKING:
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
        decoder = _decoder(self.file, os.getpid())
        decoder.go_to(start)
        return np.stack([self._frame(decoder) for _ in range(length)])

    def _frame(self, decoder: _Decoder) -> NDArray[Any]:
        image = decoder.next_frame()
        if image is None:
            raise ImageError(str(self.file), "a frame cannot be decoded", what="video")
        channels, height, width = self.size
        if image.shape[:2] != (height, width):
            raise ImageError(str(self.file), "its frames are of several sizes", what="video")
        pixels = cv2.cvtColor(image, _COLOURS[channels])
        return pixels.reshape(height, width, channels).transpose(2, 0, 1)


class _Decoder:
    """A file that is decoded from one window to the next, so that all of them are one pass.

    Seeking goes to a key frame in many formats, so frames are counted, and what lies before the
    last one means to begin again.

    Args:
        file: The file.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._begin()

    def _begin(self) -> None:
        self.video, self.position = _open(self.file), 0

    def go_to(self, frame: int) -> None:
        """Makes a frame, counted from 0, the next one."""
        if frame < self.position:
            self._begin()
        while self.position < frame:
            self.video.grab()
            self.position += 1

    def next_frame(self) -> NDArray[Any] | None:
        """``(H, W, 3)`` in BGR; None where it cannot be decoded."""
        is_read, image = self.video.read()
        self.position += 1
        return image if is_read else None


@lru_cache(maxsize=1)
def _decoder(file: Path, process: int) -> _Decoder:
    """The decoder that a process is using; those of another process lose their threads."""
    return _Decoder(file)


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
    _decoder.cache_clear()  # the file may be another one than before
    video = _open(file)
    is_read, image = video.read()
    if not is_read:
        raise UserError(f"cannot read the video {file}")
    height, width = image.shape[:2]
    if (height, width) != size[1:]:
        raise UserError(
            f"{file} has frames of {height}x{width} (height, width), but the network takes "
            f"{size[1]}x{size[2]}: give --size Tx{size[0]}x{height}x{width}, T being the "
            "number of input frames"
        )
    frames = 1
    while video.grab():
        frames += 1
    stated = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    if frames < stated:
        notes.append(f"{frames} of the {stated} frames of {file.name} can be decoded")
    return VideoFile(file, size), frames


def _open(file: Path) -> cv2.VideoCapture:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # its errors become ours
    return cv2.VideoCapture(str(file))

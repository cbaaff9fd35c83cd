"""The frames that come after those of sequences of the user's own."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from PIL import Image

from mogabench.data.folders import has_images, left_out, visible
from mogabench.data.images import ImageError
from mogabench.engine.prediction import Item, Prediction, Predictor
from mogabench.errors import UserError
from mogabench.tasks.video.clips import (
    Found,
    array_clips,
    check_arrays,
    frames_in,
    holds_clips,
    read_clips,
)
from mogabench.tasks.video.drawing import animation, as_pixels, encode, strip
from mogabench.tasks.video.frames import split_frames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mogabench.tasks.video.clips import Clips
    from mogabench.tasks.video.layout import Layout


_LEAST = 64
"""Pixels that a drawn frame is high, about."""


class Clip(NamedTuple):
    """A sequence.

    Attributes:
        clips: What it is read from.
        number: Its place there.
        frames: Its length.
        file: The file, or the folder of frames; None for an array in memory.
    """

    clips: Clips
    number: int
    frames: int
    file: Path | None = None


@dataclass(frozen=True)
class VideoPrediction(Prediction):
    """What comes after a sequence.

    Attributes:
        seen: The frames that the network saw, the last ones of the sequence, ``(T, C, H, W)`` in
            float32 from 0 to 1.
        frames: Those that it predicts, ``(T', C, H, W)``, as it gives them, not clipped.
    """

    seen: NDArray[np.float32]
    frames: NDArray[np.float32]

    def to_json(self) -> list[dict[str, Any]]:
        """One entry with name and shapes; the frames themselves are in a file."""
        return [
            {
                "sequence": self.item.name,
                "seen": list(self.seen.shape),
                "predicted": list(self.frames.shape),
            }
        ]

    def describe(self) -> str:
        """How many frames there are."""
        size = "x".join(map(str, self.frames.shape[1:]))
        return f"{len(self.frames)} frames of {size} after the last {len(self.seen)}"

    def draw(self) -> Image.Image:
        """The frames that were seen, and below them those predicted, small ones enlarged."""
        picture = strip([self._shown(self.seen), self._shown(self.frames)])
        larger = max(1, _LEAST // self.frames.shape[2])
        size = (larger * picture.width, larger * picture.height)
        return picture.resize(size, Image.Resampling.NEAREST)

    def files(self) -> Mapping[str, bytes]:
        """The picture, both parts one after another as a GIF, and the predicted frames as NumPy's.

        The frames are float32 ``(T', C, H, W)``.
        """
        content = io.BytesIO()
        np.save(content, self.frames)
        moving = np.concatenate([self._shown(self.seen), self._shown(self.frames)])
        return {
            ".png": encode([self.draw()], "png"),
            ".gif": encode(animation([[moving]]), "gif"),
            "_predicted.npy": content.getvalue(),
        }

    @staticmethod
    def _shown(frames: NDArray[np.float32]) -> NDArray[np.uint8]:
        pixels: NDArray[np.uint8] = as_pixels(torch.from_numpy(frames)[None])[0]
        return pixels


class VideoPredictor(Predictor):
    """SimVP, which sees the last frames of a sequence; the arguments are those of `Predictor`."""

    takes: ClassVar[str] = "sequence"

    @property
    def _size(self) -> tuple[int, int, int]:
        _, channels, height, width = self.job.subject.input_size
        return channels, height, width

    def predict_item(self, item: Item) -> VideoPrediction:
        """See `Predictor`."""
        clip, count = self._clip(item), self.job.subject.input_size[0]
        if clip.frames < count:
            raise ImageError(
                item.name,
                f"it has {clip.frames} frame(s), and the network predicts from {count}",
                what="sequence",
            )
        frames = clip.clips.read(clip.number, clip.frames - count, count)
        batch = torch.from_numpy(frames)[None]
        (predicted,) = self.run({"frames": batch})
        seen, _ = split_frames(batch, count)
        return VideoPrediction(item, seen[0].float().numpy(), predicted.cpu().numpy())

    def find_in(self, place: Path) -> list[tuple[str, Any]]:
        """The sequences in a file, a folder of frames, or a folder of such.

        Raises:
            UserError: There are none, or they are of another size than the network is for.
        """
        if not place.exists():
            raise UserError(f"there is no file or folder {place}")
        layout, notes = self.job.options.layout, list[str]()
        are_frames = has_images(place) and not any(map(holds_clips, visible(place, [])))
        if are_frames:
            hidden, others = list[Path](), list[Path]()
            found: Found = [frames_in(place, self._size, hidden, others)]
            notes += left_out(hidden, others, "frames")
        else:
            found = read_clips(place, self._size, layout, notes)
        self.notes = (*self.notes, *notes)
        is_one = are_frames or place.is_file()
        clips = [
            (name if len(lengths) == 1 else f"{Path(name).stem}-{number + 1}", clip)
            for name, source, lengths in found
            for number, length in enumerate(lengths)
            for clip in [Clip(source, number, length, place if is_one else place / name)]
        ]
        if not clips:
            raise UserError(f"{place} has no sequence: no video, array or folder of frames")
        return clips

    def _clip(self, item: Item) -> Clip:
        if isinstance(item.content, Clip):
            return item.content
        if isinstance(item.content, np.ndarray):
            usual: Layout = "THW" if item.content.ndim == 3 else "TCHW"
            layout = self.job.options.layout or usual
            clips = array_clips(item.name, item.content, self._size, layout)
            check_arrays(item.name, [clips])
            found = [Clip(clips, n, clips.frames.shape[1]) for n in range(len(clips.frames))]
        elif isinstance(item.content, Path):
            found = [clip for _, clip in self.find_in(item.content)]
        else:
            raise UserError(
                "a sequence is a video, a .npy file, a folder of frames or an array (T, C, H, W); "
                "it cannot come by a pipe"
            )
        if len(found) != 1:
            raise UserError(f"{item.name} has {len(found)} sequences: give one at a time")
        return found[0]

"""Sequences of the user's own: arrays in files, folders of frames, and videos."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from mogabench.data.arrays import read_numpy
from mogabench.data.folders import is_image, left_out, natural_key, visible
from mogabench.data.identity import data_name
from mogabench.data.images import ImageError, decode_frame
from mogabench.engine.task import Source
from mogabench.errors import UserError
from mogabench.records import Data
from mogabench.tasks.video.files import VIDEOS, VideoFile, open_video
from mogabench.tasks.video.frames import check_white
from mogabench.tasks.video.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

_ENDINGS = (".npy", ".npz", *VIDEOS)
"""Of the names of files that hold sequences."""

_SPLITS = {"train": ("train",), "test": ("val", "test")}
_MODES = {1: "L", 3: "RGB"}
"""Pillow's, by channels."""


@dataclass(frozen=True)
class ArrayClips:
    """The clips of a file.

    Attributes:
        frames: ``(N, T, C, H, W)``.
    """

    frames: NDArray[Any]

    def read(self, clip: int, start: int, length: int) -> NDArray[Any]:
        """Frames ``(length, C, H, W)``."""
        return np.array(self.frames[clip, start : start + length])


@dataclass(frozen=True)
class FolderClip:
    """The one clip of a folder.

    Attributes:
        files: Its frames, in order.
        size: Channels, height and width.
    """

    files: tuple[Path, ...]
    size: tuple[int, int, int]

    def read(self, clip: int, start: int, length: int) -> NDArray[Any]:
        """Frames ``(length, C, H, W)``.

        Raises:
            UserError: A frame is of another size, or has numbers that are out of range.
        """
        frames = [self._frame(file) for file in self.files[start : start + length]]
        return _join([torch.from_numpy(frame) for frame in frames]).numpy()

    def _frame(self, file: Path) -> NDArray[Any]:
        channels, height, width = self.size
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ImageError(str(file), error.strerror or str(error)) from None
        frame = decode_frame(content, str(file), mode=_MODES[channels])
        found = "x".join(map(str, frame.shape[:0:-1]))
        if found != f"{width}x{height}":
            raise UserError(f"the frame {file} is of {found} pixels, not {width}x{height}")
        return _in_range(file, frame)


Clips = ArrayClips | FolderClip | VideoFile


class Windows:
    """Parts of clips, all of the same length and none overlapping another.

    Args:
        places: For each part the clips, the clip's number among these and its first frame.
        length: Frames of a part.
    """

    def __init__(self, places: Sequence[tuple[Clips, int, int]], length: int) -> None:
        self.places, self.length = places, length

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Tensor:
        clips, clip, start = self.places[index]
        return torch.from_numpy(clips.read(clip, start, self.length))


def has_clips(root: Path) -> bool:
    """Whether a folder holds sequences, and not images of digits to draw them from."""
    return any(_find(root, split) for split in _SPLITS)


def open_clips(
    root: Path,
    split: Literal["train", "test"],
    length: int,
    size: tuple[int, int, int],
    layout: Layout | None,
    *,
    seen: int | None = None,
) -> tuple[Source, list[str]]:
    """Opens the sequences in ``train`` or in ``val`` or ``test`` of a folder.

    Each of these is a file ``.npy`` or ``.npz``, a video, or a folder of such files and of folders
    of frames.

    Args:
        root: The folder.
        split: Which part; ``test`` is in ``val`` or ``test``.
        length: Frames that were seen, and those to predict.
        size: Channels, height and width.
        layout: The axes of the arrays; None where their sizes tell them.
        seen: Of the frames those that were seen. If all clips are so long, nothing says what came
            then, and they are sequences to predict from alone; None where they must go on.

    Returns:
        The sequences, and what a reader must know of them.

    Raises:
        UserError: There are none, they lie deeper, or they are not of that size and length.
    """
    place = _find(root, split)
    if place is None:
        names = " or ".join(f"{name}/ or {name}.npy" for name in _SPLITS[split])
        raise UserError(f"{root} has no {names} with sequences")
    notes: list[str] = []
    found = read_clips(place, size, layout, notes)
    _check_depth(place, found)
    annotated = {frames for _, _, lengths in found for frames in lengths} != {seen}
    if seen is not None and not annotated:
        length = seen
    digest, places, rest, short = hashlib.sha256(f"{length}\n".encode()), [], 0, 0
    for name, clips, lengths in found:
        digest.update(f"{name} {lengths}\n".encode())
        for clip, frames in enumerate(lengths):
            places += [(clips, clip, n * length) for n in range(frames // length)]
            rest += frames % length if frames >= length else 0
            short += frames < length
        _update(digest, clips)
    if not places:
        raise UserError(
            f"{place} has no sequence of {length} frames, seen and to predict: --in-frames "
            "says how many are seen, --out-frames how many are predicted"
        )
    clip_count = sum(len(lengths) for _, _, lengths in found)
    notes.insert(0, f"{len(places)} sequences of {length} frames from {clip_count} clips")
    if short:
        notes.append(f"left out {short} clips of fewer than {length} frames")
    if rest:
        notes.append(f"left out {rest} frames at the ends of clips, too few for a sequence")
    identity = Data(
        name=data_name(root), split=split, samples=len(places), digest=digest.hexdigest()
    )
    source = Source(Windows(places, length), identity, _stack, annotated=annotated)
    return source, [f"{place.name}: {note}" for note in notes]


def _check_depth(place: Path, found: Found) -> None:
    """Refuses folders of sequences, which would be passed over, among those of frames."""
    empty = (
        place / name
        for name, clips, _ in found
        if isinstance(clips, FolderClip) and not clips.files
    )
    for item in chain.from_iterable(visible(folder, []) for folder in empty):
        if item.is_dir() or holds_clips(item):
            raise UserError(
                f"{item.parent} has no frames but {item.name}: sequences should lie in "
                f"{place.name}/ itself"
            )


def _stack(sequences: list[Tensor]) -> dict[str, Tensor]:
    return {"frames": _join(sequences)}


def _join(parts: list[Tensor]) -> Tensor:
    if len({part.dtype for part in parts}) > 1:
        # Else the bytes of one file would count as numbers beyond 1 beside the floats of another.
        parts = [part / 255 if part.dtype == torch.uint8 else part for part in parts]
    return torch.stack(parts)


def _find(root: Path, split: str) -> Path | None:
    for name in _SPLITS[split]:
        for place in (root / name, *(root / f"{name}{ending}" for ending in _ENDINGS)):
            if place.exists():
                return place
    return None


Found = list[tuple[str, Clips, list[int]]]
"""For each file or folder its name, its clips and their lengths."""


def holds_clips(file: Path) -> bool:
    """Whether a file is an array or a video by its ending."""
    return file.suffix.lower() in _ENDINGS


def read_clips(
    place: Path, size: tuple[int, int, int], layout: Layout | None, notes: list[str]
) -> Found:
    """The clips in a file, or in a folder of files and of folders of frames.

    Args:
        place: The file or folder.
        size: Channels, height and width.
        layout: The axes of arrays; None where their sizes tell them.
        notes: Gets what was left out.

    Raises:
        UserError: They are not of that size, cannot be read, are frames themselves, or hold nothing
            but bytes of 0 and 1.
    """
    if place.is_file():
        found: Found = [_from_file(place, size, layout, notes)]
        check_arrays(place, [clips for _, clips, _ in found])
        return found
    hidden: list[Path] = []
    items = sorted(visible(place, hidden), key=lambda item: natural_key(item.name))
    files = [item for item in items if not item.is_dir()]
    others = [item for item in files if not holds_clips(item)]
    found = [_from_file(item, size, layout, notes) for item in files if item not in others]
    check_arrays(place, [clips for _, clips, _ in found])
    folders = [item for item in items if item.is_dir()]
    if not (found or folders) and any(map(is_image, others)):
        raise UserError(
            f"{place} holds frames: put the frames of each sequence into a folder below "
            f"{place.name}/"
        )
    found += [frames_in(folder, size, hidden, others) for folder in folders]
    notes += left_out(hidden, others, "sequences")
    return found


def frames_in(
    folder: Path, size: tuple[int, int, int], hidden: list[Path], others: list[Path]
) -> tuple[str, FolderClip, list[int]]:
    """The clip of a folder of frames, in the natural order of their names.

    Args:
        folder: The folder.
        size: Channels, height and width.
        hidden: Gets what is hidden or made by tools.
        others: Gets what are no images.

    Raises:
        UserError: Images have not as many channels.
    """
    if size[0] not in _MODES:
        raise UserError(f"frames of images have 1 or 3 channels, not {size[0]} (--size)")
    files = sorted(visible(folder, hidden), key=lambda item: natural_key(item.name))
    frames = tuple(file for file in files if is_image(file))
    others += [file for file in files if not is_image(file)]
    # "." has no name, and ".." that of another folder; a link keeps its own.
    name = folder.name if folder.name.strip(".") else folder.resolve().name
    return name, FolderClip(frames, size), [len(frames)]


def _from_file(
    file: Path, size: tuple[int, int, int], layout: Layout | None, notes: list[str]
) -> tuple[str, Clips, list[int]]:
    if file.suffix.lower() in VIDEOS:
        video, frames = open_video(file, size, notes)
        return file.name, video, [frames]
    clips = array_clips(file, _load(file), size, layout)
    count, length = clips.frames.shape[:2]
    return file.name, clips, [length] * count


def array_clips(
    file: Path | str, array: NDArray[Any], size: tuple[int, int, int], layout: Layout | None
) -> ArrayClips:
    """The clips of an array.

    Args:
        file: What errors call it.
        array: Of any number of axes: bytes, or numbers from 0 to 1.
        size: Channels, height and width.
        layout: Its axes; None where their sizes tell them.

    Raises:
        UserError: It is none, or its frames are of another size.
    """
    axes = layout or _guess(file, array.shape, size)
    if len(axes) != array.ndim:
        raise UserError(f"{file} has {array.ndim} axes, but --layout {axes} names {len(axes)}")
    for axis, name in (("N", "sequences"), ("T", "frames")):
        if axis in axes and not array.shape[axes.index(axis)]:
            raise UserError(f"{file} holds no {name}: its shape is {array.shape}")
    missing = [axis for axis in "NTCHW" if axis not in axes]
    expanded = array.reshape(array.shape + (1,) * len(missing))
    frames = expanded.transpose([(axes + "".join(missing)).index(axis) for axis in "NTCHW"])
    found = "x".join(map(str, frames.shape[2:]))
    if found != "x".join(map(str, size)):
        raise UserError(
            f"{file} has frames of {found} (channels, height, width), but the network takes "
            f"{'x'.join(map(str, size))}: give --size Tx{found}, T being the number of input frames"
        )
    return ArrayClips(_in_range(file, frames))


def check_arrays(place: Path | str, clips: Sequence[Clips]) -> None:
    """Refuses arrays that hold bytes of 0 and 1 alone; one of several may be so dark.

    Args:
        place: What the error calls them.
        clips: Arrays and others.

    Raises:
        UserError: The greatest byte of all is 1.
    """
    arrays = [one.frames for one in clips if isinstance(one, ArrayClips)]
    check_white(place, chain.from_iterable(one for one in arrays if one.dtype == np.uint8))


def _load(file: Path) -> NDArray[Any]:
    loaded = read_numpy(file, mapped=True)
    if not isinstance(loaded, dict):
        return loaded
    if len(loaded) != 1:
        names = ", ".join(list(loaded)[:5])
        raise UserError(f"{file} holds {len(loaded)} arrays ({names}); it should hold one")
    return next(iter(loaded.values()))


def _guess(file: Path | str, shape: tuple[int, ...], size: tuple[int, int, int]) -> Layout:
    """The layout whose channels, height and width fit, if there is just one."""
    sizes = dict(zip("CHW", size, strict=True))
    fitting: list[Layout] = [
        layout
        for layout in get_args(Layout)
        if len(layout) == len(shape)
        and all(sizes.get(axis, n) == n for axis, n in zip(layout, shape, strict=True))
        and ("C" in layout or size[0] == 1)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise UserError(
            f"{file} has the shape {shape}, in which no axes are frames of "
            f"{'x'.join(map(str, size))} (channels, height, width): give their --size TxCxHxW"
        )
    raise UserError(
        f"{file} has the shape {shape}, which may be {' or '.join(fitting)}: choose by --layout"
    )


def _in_range(file: Path | str, frames: NDArray[Any]) -> NDArray[Any]:
    """The frames as bytes or as float32 within [0, 1]."""
    if frames.dtype == np.uint8:
        return frames
    if not np.issubdtype(frames.dtype, np.floating):
        raise UserError(f"{file} holds {frames.dtype}; it should hold uint8, or floats from 0 to 1")
    low, high = float(frames.min()), float(frames.max())
    if not (low >= 0 and high <= 1):
        raise UserError(
            f"{file} holds numbers from {low:g} to {high:g}; floats should lie within 0 and 1, "
            "and pixels from 0 to 255 be uint8"
        )
    return frames.astype(np.float32, copy=False)


def _update(digest: Any, clips: Clips) -> None:
    if isinstance(clips, ArrayClips):
        for clip in clips.frames:
            digest.update(np.ascontiguousarray(clip).tobytes())
        return
    for file in [clips.file] if isinstance(clips, VideoFile) else clips.files:
        digest.update(f"{file.name} {file.stat().st_size}\n".encode())

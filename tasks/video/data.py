"""Sequences to train and to evaluate on: drawn from images of digits, or recorded in a file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from PIL import Image
from torch.utils.data import IterableDataset

from mogabench.data.arrays import read_numpy
from mogabench.data.digits import sample_digits
from mogabench.data.identity import SAMPLE, data_name
from mogabench.data.idx import read_idx
from mogabench.engine.task import Source
from mogabench.errors import UserError
from mogabench.records import Data
from mogabench.tasks.video.clips import has_clips, open_clips
from mogabench.tasks.video.moving import CANVAS, Scenes, draw_scenes, join, render

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from mogabench.engine.job import Job
    from mogabench.tasks.video import VideoOptions
    from mogabench.tasks.video.recipe import VideoRecipe

    VideoJob = Job[VideoRecipe, VideoOptions]

TEST_SEQUENCES = 10_000
SAMPLE_TEST_SEQUENCES = 100
TEST_SEED = 0
"""Of the sequences drawn to test on, where no file has them."""

_LEAST_SIDE = 8
_RECORDED = "*test_seq.npy"
_IMAGES = {"train": "train-images*", "test": "t10k-images*"}
_KNOWN_IMAGES = {
    "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757": "moving-mnist",
    "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161": "moving-mnist-drawn",
    "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012": "moving-fashion-mnist",
    "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a": "moving-fashion-mnist",
}
"""By SHA-256 of the pixels: the 60 000 and the 10 000 images of MNIST, then of Fashion-MNIST.

Sequences drawn from MNIST's test digits are not those of ``mnist_test_seq.npy``, which the paper's
figures were measured on, so they have a name of their own.
"""

_OFFICIAL_TEST = "mnist_test_seq.npy"
_OFFICIAL_TEST_MD5 = "be083ec986bfe91a449d63653c411eb2"
"""As torchvision checks it."""


class Renderer:
    """Makes a batch of frames from scenes, all at once, in the loader's process.

    Args:
        images: Digits ``(N, S, S)``.
        frames: Of a sequence.
        canvas: Side of a frame in pixels.

    Raises:
        UserError: The digits are not square, or larger than a frame.
    """

    def __init__(self, images: NDArray[np.uint8], frames: int, canvas: int) -> None:
        height, width = images.shape[1:]
        if height != width or height > canvas:
            raise UserError(
                f"digits of {height}x{width} do not move on frames of {canvas}x{canvas}; they "
                "should be square and no larger"
            )
        self.images, self.frames, self.canvas = images, frames, canvas

    def __call__(self, scenes: list[Scenes]) -> dict[str, Tensor]:
        """Frames ``(B, T, 1, H, W)`` of ``B`` scenes."""
        video = render(self.images, join(scenes), frames=self.frames, canvas=self.canvas)
        return {"frames": torch.from_numpy(video).unsqueeze(2)}


class FreshScenes:
    """Scenes that are drawn when they are asked for, from NumPy's generator.

    Args:
        images: Images to choose digits from.
        count: Scenes of an epoch.
    """

    def __init__(self, images: int, count: int) -> None:
        self.images, self.count = images, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Scenes:
        random = np.random.default_rng(np.random.randint(2**32, size=4, dtype=np.uint32))
        return draw_scenes(random, 1, self.images)


class FixedScenes:
    """The scenes that a seed gives, always the same.

    Args:
        images: Images to choose digits from.
        count: Scenes.
        seed: The seed.
    """

    def __init__(self, images: int, count: int, seed: int) -> None:
        self.scenes, self.count = draw_scenes(np.random.default_rng(seed), count, images), count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Scenes:
        return self.scenes[index]


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


class Numbered:
    """Sequences with their places in the split, which batches have as ``index``.

    Args:
        source: The sequences; no stream.
    """

    def __init__(self, source: Source) -> None:
        assert not isinstance(source.items, IterableDataset)
        assert source.collate is not None
        self.items, self.join = source.items, source.collate

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        return index, self.items[index]

    def collate(self, items: list[tuple[int, Any]]) -> dict[str, Tensor]:
        """The source's batch and the places ``(B,)``."""
        places, sequences = zip(*items, strict=True)
        return {**self.join(list(sequences)), "index": torch.tensor(places)}


def open_sources(job: VideoJob, sequences: int) -> tuple[Source | None, Source, list[str]]:
    """Opens the data for training, where the job trains, and for evaluation.

    Args:
        job: Names the data: ``sample``, a folder with sequences in ``train`` and ``val``, or one
            with images of digits and, to evaluate on, ``mnist_test_seq.npy`` or the only other
            ``*test_seq.npy``, or other images.
        sequences: To draw for each epoch of training.

    Returns:
        The data to train on and to evaluate on, and what a reader must know of them.

    Raises:
        UserError: The folder has not what is needed, or the network is for other frames.
    """
    if job.data != SAMPLE and has_clips(_folder(job)):
        return _own_sequences(job)
    if job.options.out_frames is not None or job.options.layout is not None:
        raise UserError(
            "--out-frames and --layout are for sequences of your own, in train/ and val/ of --data"
        )
    return *_digits(job, sequences), []


def _own_sequences(job: VideoJob) -> tuple[Source | None, Source, list[str]]:
    seen, channels, height, width = job.subject.input_size
    if min(height, width) < _LEAST_SIDE:
        raise UserError(f"SSIM's windows need frames of {_LEAST_SIDE} pixels or more (--size)")
    predicted = predicted_frames(job)
    size = (channels, height, width)
    folder, length, layout = _folder(job), seen + predicted, job.options.layout
    train = open_clips(folder, "train", length, size, layout) if job.train else None
    test = open_clips(folder, "test", length, size, layout, seen=None if job.train else seen)
    notes = [note for opened in (train, test) if opened for note in opened[1]]
    if predicted != seen:
        again = ", feeding its predictions back" if predicted > seen else ""
        notes.append(f"predicts {predicted} frames from {seen}{again}")
    return train and train[0], test[0], notes


def predicted_frames(job: VideoJob) -> int:
    """How many frames follow those that are seen."""
    return job.options.out_frames or job.subject.input_size[0]


def _digits(job: VideoJob, sequences: int) -> tuple[Source | None, Source]:
    frames, canvas = _frames_and_canvas(job)
    training = None
    if job.train:
        images = fit_digits(_images(job, "train"), canvas)
        scenes = FreshScenes(len(images), sequences)
        identity = _identify(job, images, "train", len(images))
        training = Source(scenes, identity, Renderer(images, frames, canvas))
    recorded = None if job.data == SAMPLE else _recorded(_folder(job))
    if recorded:
        return training, _open_recorded(recorded, frames, canvas)
    images = fit_digits(_images(job, "test"), canvas)
    count = SAMPLE_TEST_SEQUENCES if job.data == SAMPLE else TEST_SEQUENCES
    test = FixedScenes(len(images), count, TEST_SEED)
    identity = _identify(job, images, "test", count)
    return training, Source(test, identity, Renderer(images, frames, canvas))


def read_images(path: Path) -> NDArray[np.uint8]:
    """Reads images ``(N, H, W)`` of bytes from an IDX file, gzipped or not, or a ``.npy`` file.

    Raises:
        UserError: It cannot be read, or holds something else.
    """
    if path.suffix == ".npy":
        images = _one_array(path)
    else:
        try:
            images = read_idx(path)
        except (OSError, EOFError, ValueError) as error:
            raise UserError(f"cannot read the images {path}: {error}") from error
    if images.dtype != np.uint8 or images.ndim != 3 or not len(images):
        raise UserError(
            f"{path} holds {images.dtype} {images.shape}; it should hold uint8 (N, 28, 28)"
        )
    return images


def _one_array(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    array = read_numpy(path, mapped=mapped)
    if isinstance(array, dict):
        raise UserError(f"{path} is an .npz archive by its content; give one array as .npy")
    return array


def _frames_and_canvas(job: VideoJob) -> tuple[int, int]:
    seen, channels, height, width = job.subject.input_size
    if channels != 1 or height != width:
        raise UserError(
            f"moving digits are grey and square, such as 10x1x64x64, not "
            f"{'x'.join(map(str, job.subject.input_size))}"
        )
    return 2 * seen, height


def _folder(job: VideoJob) -> Path:
    folder = Path(job.data).expanduser()
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} (or --data sample)")
    return folder


def _images(job: VideoJob, split: str) -> NDArray[np.uint8]:
    if job.data == SAMPLE:
        part = sample_digits() / {"train": "train", "test": "val"}[split]
        return np.stack([np.asarray(Image.open(file)) for file in sorted(part.glob("*/*.png"))])
    folder = _folder(job)
    files = sorted(folder.glob(_IMAGES[split]))
    if not files:
        other = f" and no {_RECORDED}" if split == "test" else ""
        raise UserError(
            f"{folder} has no {_IMAGES[split]}{other}: MNIST and Fashion-MNIST come as "
            "train-images-idx3-ubyte.gz and t10k-images-idx3-ubyte.gz"
        )
    return read_images(files[0])


def fit_digits(images: NDArray[np.uint8], canvas: int) -> NDArray[np.uint8]:
    """Digits of half the size for frames of half the size, and so on: they have room to move.

    Args:
        images: Digits ``(N, S, S)``, for frames of 64x64.
        canvas: Side of a frame.

    Returns:
        Means of squares of pixels where the frame's side is a half, a quarter, … of 64 and the
        digits can be divided likewise; else the digits as they are.
    """
    count, height, width = images.shape
    factor, rest = divmod(CANVAS, canvas)
    if rest or height % factor or width % factor:
        return images
    squares = images.reshape(count, height // factor, factor, width // factor, factor)
    means: NDArray[np.uint8] = squares.mean((2, 4)).round().astype(np.uint8)
    return means


def _identify(
    job: VideoJob, images: NDArray[np.uint8], split: Literal["train", "test"], samples: int
) -> Data:
    """The identity of sequences drawn from images: of fresh ones that of the images alone."""
    pixels = hashlib.sha256(images.tobytes())
    if job.data == SAMPLE:
        name = "sample-moving-digits"
    else:
        name = data_name(_folder(job), _KNOWN_IMAGES.get(pixels.hexdigest()))
    if split == "test":
        pixels.update(f"{samples} scenes of seed {TEST_SEED}".encode())
    return Data(name=name, split=split, samples=samples, digest=pixels.hexdigest())


def _recorded(folder: Path) -> Path | None:
    """The file of recorded sequences: Moving MNIST's, or the only one."""
    found = sorted(folder.glob(_RECORDED))
    official = folder / _OFFICIAL_TEST
    if official in found:
        return official
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise UserError(f"{folder} holds {names}: keep only the one to evaluate on there")
    return found[0] if found else None


def _open_recorded(path: Path, frames: int, canvas: int) -> Source:
    video = _one_array(path, mapped=True)
    is_number = video.dtype == np.uint8 or np.issubdtype(video.dtype, np.floating)
    if not is_number or (video.shape[:1], video.shape[2:]) != ((frames,), (canvas,) * 2):
        raise UserError(
            f"{path} holds {video.dtype} {video.shape}; it should hold uint8 "
            f"({frames}, N, {canvas}, {canvas})"
        )
    with path.open("rb") as file:
        official = hashlib.file_digest(file, "md5").hexdigest() == _OFFICIAL_TEST_MD5
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = "moving-mnist" if official else f"file:{path.name}"
    identity = Data(name=name, split="test", samples=video.shape[1], digest=digest)
    return Source(RecordedFrames(path, video), identity, _stack)


def _stack(frames: list[Tensor]) -> dict[str, Tensor]:
    return {"frames": torch.stack(frames)}

"""Sequences to train and to evaluate on: drawn from images of digits, or recorded in a file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from PIL import Image
from torch.utils.data import IterableDataset

from mogabench.checkpoints import Description
from mogabench.data.arrays import read_array
from mogabench.data.digits import sample_digits
from mogabench.data.identity import SAMPLE, data_name
from mogabench.data.idx import read_idx
from mogabench.engine.task import Source
from mogabench.errors import UserError
from mogabench.files import expanded
from mogabench.records import Data
from mogabench.tasks.video.clips import has_clips, open_clips
from mogabench.tasks.video.frames import check_white
from mogabench.tasks.video.moving import CANVAS, Scenes, draw_scenes, join, render
from mogabench.tasks.video.recorded import RECORDED, find_recorded, open_recorded

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from mogabench.engine.job import Job
    from mogabench.tasks.video.options import VideoOptions
    from mogabench.tasks.video.recipe import VideoRecipe

    VideoJob = Job[VideoRecipe, VideoOptions]

TEST_SEQUENCES = 10_000
SAMPLE_TEST_SEQUENCES = 100
TEST_SEED = 0
"""Of the sequences drawn to test on, where no file has them."""

_LEAST_SIDE = 8
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
                f"digits of {height}x{width} for frames of {canvas}x{canvas}: they must be square "
                "and no larger than a frame"
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
    if job.train and job.recipe is not None and "sequences" in job.recipe.changes:
        raise UserError(
            f"sequences={job.recipe.sequences} has no effect: it is for moving digits; an epoch of "
            "your own sequences has all of them"
        )
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
    stated = Description.of(job.weights) if job.weights is not None and not job.train else None
    trained = stated.of_task.get("out_frames") if stated is not None else None
    if trained not in (None, predicted):
        notes.append(f"the weights were trained to predict {trained} (--out-frames {trained})")
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
    recorded = None if job.data == SAMPLE else find_recorded(_folder(job))
    if recorded:
        return training, open_recorded(recorded, frames, canvas)
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
        images = read_array(path)
    else:
        try:
            images = read_idx(path)
        except (OSError, EOFError, ValueError) as error:
            raise UserError(f"cannot read the images {path}: {error}") from error
    if images.dtype != np.uint8 or images.ndim != 3 or not len(images):
        raise UserError(
            f"{path} holds {images.dtype} {images.shape}; it should hold uint8 (N, 28, 28)"
        )
    check_white(path, images)
    return images


def _frames_and_canvas(job: VideoJob) -> tuple[int, int]:
    seen, channels, height, width = job.subject.input_size
    if channels != 1 or height != width:
        raise UserError(
            f"moving digits are grey and square, such as 10x1x64x64, not "
            f"{'x'.join(map(str, job.subject.input_size))}"
        )
    return 2 * seen, height


def _folder(job: VideoJob) -> Path:
    folder = expanded(job.data)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} (or --data sample)")
    return folder


def _images(job: VideoJob, split: str) -> NDArray[np.uint8]:
    if job.data == SAMPLE:
        part = sample_digits() / {"train": "train", "test": "val"}[split]
        return np.stack([np.asarray(Image.open(file)) for file in sorted(part.glob("*/*.png"))])
    folder = _folder(job)
    files = sorted(file for file in folder.glob(_IMAGES[split]) if file.is_file())
    if not files:
        other = f" and no {RECORDED}" if split == "test" else ""
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

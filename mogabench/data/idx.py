"""Images and labels in IDX files, as MNIST and the data sets after its pattern have them."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mogabench.data.cache import written_once
from mogabench.errors import UserError
from mogabench.files import open_regular, slug

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MOST_BYTES = 2**31
"""MNIST's largest file has 47 million; a small archive may unpack to any number."""

_BYTES = 0x08
"""The type of the numbers in the header of a file of bytes."""

_PARTS = {"train": "train", "t10k": "val"}
"""What the names of the files begin with, and the split that they are."""

_KNOWN = {
    "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757": "mnist",
    "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012": "fashion-mnist",
}
"""By SHA-256 of the pixels of the 60 000 images to train on."""


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Reads an array of bytes, of any shape, from an IDX file, gzipped or not.

    Raises:
        OSError: It cannot be read.
        EOFError: It is cut off.
        ValueError: It holds something else.
    """
    with (
        open_regular(path) as stored,
        gzip.open(stored) if path.suffix == ".gz" else stored as opened,
    ):
        try:
            content = opened.read(_MOST_BYTES + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from None
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it holds more than {_MOST_BYTES} bytes")
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _BYTES:
        raise ValueError("it is not an IDX file of bytes")
    axes = content[3]
    try:
        shape = struct.unpack_from(f">{axes}I", content, 4)
    except struct.error:
        raise ValueError("its header is cut off") from None
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def as_class_folders(root: Path) -> Path | None:
    """Writes the images of four IDX files as PNG files into class folders of the cache, once.

    Args:
        root: The folder of ``train-images*``, ``train-labels*``, ``t10k-images*`` and
            ``t10k-labels*``.

    Returns:
        The folder of ``train/<label>/`` and ``val/<label>/``; None where ``root`` has no such file.

    Raises:
        UserError: Files are missing, or are not images and a label for each.
    """
    if not any(file for part in _PARTS for file in root.glob(f"{part}-*[-.]idx?-ubyte*")):
        return None
    parts = {split: _read_part(root, part) for part, split in _PARTS.items()}
    digest = hashlib.sha256()
    for images, labels in parts.values():
        digest.update(images.tobytes() + labels.tobytes())
    known = _KNOWN.get(hashlib.sha256(parts["train"][0].tobytes()).hexdigest())
    name = known or f"idx-{slug(root.resolve().name)}"  # of "." too

    def write(folder: Path) -> None:
        for split, (images, labels) in parts.items():
            _write(folder / split, images, labels)

    return written_once(name, digest.hexdigest()[:12], write)


def _read_part(root: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = (_read(root, f"{part}-{kind}*") for kind in ("images", "labels"))
    if images.ndim != 3 or labels.shape != images.shape[:1] or not images.size:
        raise UserError(
            f"{root}: {part}-images* holds {images.shape} and {part}-labels* {labels.shape}; they "
            "should hold (N, H, W) and (N,)"
        )
    return images, labels


def _read(root: Path, pattern: str) -> NDArray[np.uint8]:
    # In Kaggle's folder there is one for each file; torchvision unpacks beside the archive.
    files = [file for file in root.glob(pattern) if file.is_file()]
    found = [file for file in files if file.suffix != ".gz"] or files
    if len(found) != 1:
        raise UserError(f"{root} has {len(found)} files {pattern}, but should have one")
    try:
        return read_idx(found[0])
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"cannot read {found[0]}: {error}") from error


def _write(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    for label in np.unique(labels):
        (folder / str(label)).mkdir(parents=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / str(label) / f"{number:05}.png")

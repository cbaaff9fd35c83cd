import gzip
import struct
from dataclasses import replace

import numpy as np
import pytest

from mogabench.engine.job import Job
from mogabench.subject import Subject
from mogabench.tasks import load_recipe
from mogabench.tasks.video import TASK


def write_idx(path, images):
    """Writes images as MNIST's files have them."""
    content = struct.pack(">4I", 0x00000803, *images.shape) + images.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def folder(tmp_path):
    """A folder like MNIST's, of drawn rectangles: 50 to train on, 20 to test."""
    random, place = np.random.default_rng(0), tmp_path / "shapes"
    place.mkdir()
    for name, count in (("train-images-idx3-ubyte.gz", 50), ("t10k-images-idx3-ubyte", 20)):
        images = np.zeros((count, 28, 28), np.uint8)
        for image in images:
            top, left, bottom, right = random.integers((3, 3, 15, 15), (12, 12, 25, 25))
            image[top:bottom, left:right] = 255
        write_idx(place / name, images)
    return place


@pytest.fixture
def job(folder, tmp_path):
    """Makes a short training of a very small network; keyword arguments change the job."""

    def make(*overrides: str, **changes: object) -> Job:
        small = ("encoder_dim=16", "hidden_dim=32", "depth=2")
        settings = [f"model.{setting}" for setting in small]
        recipe = load_recipe("sample_video", overrides=[*settings, "sequences=16", *overrides])
        base = Job(
            Subject(task="video", method="simvp", backbone="moganet", input_size=(10, 1, 64, 64)),
            recipe,
            str(folder),
            TASK.Options(),
            work_dir=tmp_path / "work",
            train=True,
            workers=0,
            quiet=True,
        )
        return replace(base, **changes)

    return make

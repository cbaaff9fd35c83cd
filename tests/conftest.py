import signal
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mogabench.engine.job import Job
from mogabench.subject import Subject
from mogabench.tasks import load_recipe
from mogabench.tasks.classification import TASK

# A shell that starts pytest in the background has it ignore Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 70), "red": (210, 50, 40)}


@pytest.fixture
def folder(tmp_path):
    """A folder of noisy images in three classes by colour: 16 each to train on, 4 to evaluate."""
    random = np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 4)):
        for name, colour in COLOURS.items():
            place = tmp_path / "colours" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = random.normal(colour, 60, (40, 36, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return tmp_path / "colours"


@pytest.fixture
def job(folder, tmp_path):
    """Makes a short training on the folder; keyword arguments change the job."""

    def make(*overrides: str, backbone: str = "test_convnext", **changes: object) -> Job:
        recipe = load_recipe(
            "sample_digits",
            overrides=[
                "schedule.epochs=2",
                "schedule.warmup_epochs=0",
                "batch_size=16",
                *overrides,
            ],
        )
        base = Job(
            Subject(
                task="classification", method="classifier", backbone=backbone, input_size=(32, 32)
            ),
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

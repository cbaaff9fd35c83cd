"""Trains a small SimVP with each of Table A14's translators: the table's order at a small scale.

    python benchmarks/video_order.py --results results [--data MNIST_DIR]

Twelve translators, equal steps, three seeds, by the recipe mmnist_small: 36 trainings on one CPU
thread each. The frames are 32x32, and so that digits have as much room to move as in Moving MNIST,
they are 14x14: means of 2x2 pixels. Sequences to test on are drawn once, from other digits.

Each training's record is written when it ends, and one that has a record is not done again: the
same command goes on after a cut. `mogabench report --results results` then writes means and
standard deviations to `trainings.md`, beside what the paper prints for its full-size networks.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mogabench.data.identity import SAMPLE
from mogabench.engine.job import make_job
from mogabench.engine.record import quality_record
from mogabench.engine.run import run
from mogabench.records import Kind, open_store
from mogabench.subject import Subject
from mogabench.tables.series import correlations, render_series, split_series
from mogabench.tables.trainings import quality_text, trainings
from mogabench.tasks.video import TASK
from mogabench.tasks.video.data import TEST_SEED, read_digits
from mogabench.tasks.video.moving import draw_scenes, render

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mogabench.engine.job import Job
    from mogabench.records import Record, Store

RECIPE = "mmnist_small"
SEEDS = (0, 1, 2)
SIDE, FRAMES = 32, 10
TEST_SEQUENCES = 500


def main() -> None:
    chosen = _arguments()
    torch.set_num_threads(1)
    store = open_store(chosen.results)
    with TemporaryDirectory() as folder:
        data = _write_data(chosen.data, Path(folder))
        for seed, translator in product(SEEDS, TASK.backbones()):
            job = _job(translator, seed, data)
            record = _earlier(job, store)
            if record is None:
                record = quality_record(TASK, job, run(job, TASK))
                store.append(record)
            print(
                f"{translator}, seed {seed}: {quality_text(record)}, in "
                f"{record.provenance.seconds:.0f} s on {record.provenance.started:%Y-%m-%d}",
                flush=True,
            )
    for series in split_series(trainings(store))[0]:
        if series.first.provenance.recipe == RECIPE:
            print("\n".join([*render_series(series), *correlations(series)]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=SAMPLE, help="MNIST's folder; default: the sample")
    parser.add_argument("--results", type=Path, help="default: the user's own")
    return parser.parse_args()


def _write_data(source: str, parent: Path) -> Path:
    """Writes digits of half the size to train on, and sequences to test on.

    Args:
        source: ``sample`` or MNIST's folder.
        parent: Where the folder goes; its name says what it was made from.
    """
    folder = parent / f"half-size-{Path(source).name}"
    folder.mkdir()
    np.save(folder / "train-images.npy", _halve(read_digits(source, "train")))
    digits = _halve(read_digits(source, "test"))
    scenes = draw_scenes(np.random.default_rng(TEST_SEED), TEST_SEQUENCES, len(digits))
    video = render(digits, scenes, frames=2 * FRAMES, canvas=SIDE)
    np.save(folder / f"{folder.name}_test_seq.npy", video.swapaxes(0, 1))
    return folder


def _halve(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images ``(N, H, W)`` as means of 2x2 pixels."""
    count, height, width = images.shape
    blocks = images.reshape(count, height // 2, 2, width // 2, 2)
    return blocks.mean((2, 4)).round().astype(np.uint8)


def _job(translator: str, seed: int, data: Path) -> Job[Any, Any]:
    size = (FRAMES, 1, SIDE, SIDE)
    return make_job(
        TASK,
        Subject(task="video", method="simvp", backbone=translator, input_size=size),
        data=str(data),
        size_is_given=True,
        recipe=RECIPE,
        overrides=[f"seed={seed}"],
        weights=None,
        train=True,
        work_dir=data.parent / f"{translator}-{seed}",
        device="cpu",
        workers=0,
        quiet=True,
    )


def _earlier(job: Job[Any, Any], store: Store) -> Record | None:
    """The record of the same training, where there is one."""
    (test,) = Path(job.data).glob("*_test_seq.npy")
    assert job.recipe is not None
    return store.latest(
        job.subject.key,
        Kind.QUALITY,
        dataset=f"file:{test.name}",
        recipe_digest=job.recipe.digest,
    )


if __name__ == "__main__":
    main()

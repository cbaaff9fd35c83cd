"""Trains a small SimVP with each of Table A14's translators: the table's order at a small scale.

    python benchmarks/video_order.py --results results [--data MNIST_DIR]

Thirteen translators, three seeds: 39 trainings by the recipe sample_video, of equal steps on equal
data, each on one CPU thread for about two minutes. Each one's record is written when it ends, and
one that has a record is not done again: the same command goes on after a cut.

`mogabench report --results results` then writes means and standard deviations to `trainings.md`,
beside what the paper prints for its full-size networks.
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from mogabench.data.identity import SAMPLE
from mogabench.engine.make_job import make_job
from mogabench.engine.record import quality_record
from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.measure.trainings import data_of, earlier
from mogabench.records import open_store
from mogabench.subject import Subject
from mogabench.tables.series import correlations, render_series, split_series
from mogabench.tables.trainings import quality_text, trainings
from mogabench.tasks.video import TASK

if TYPE_CHECKING:
    from mogabench.engine.job import Job

RECIPE = "sample_video"
SEEDS = (42, 43, 44)


def main() -> None:
    chosen = _arguments()
    torch.set_num_threads(1)
    store = open_store(chosen.results)
    for seed, translator in product(SEEDS, TASK.backbones()):
        with TemporaryDirectory() as folder:
            job = _job(translator, seed, chosen.data, Path(folder))
            record = earlier(job, data_of(job), store)
            if record is None:
                record = quality_record(TASK, job, run(job, TASK))
                store.append(record)
        when, took = record.provenance.started, record.provenance.seconds
        print(f"{translator}, seed {seed}: {quality_text(record)}; {when:%Y-%m-%d}, {took:.0f} s")
    for series in split_series(trainings(store))[0]:
        if series.first.provenance.recipe == RECIPE:
            print("\n".join(["", *render_series(series), "", *correlations(series)]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=SAMPLE, help="MNIST's folder; default: the sample")
    parser.add_argument("--results", type=Path, help="default: the user's own")
    return parser.parse_args()


def _job(translator: str, seed: int, data: str, work_dir: Path) -> Job[Any, Any]:
    size = TASK.default_sizes["simvp"]  # the recipe's own takes its place
    return make_job(
        TASK,
        Subject(task="video", method="simvp", backbone=translator, input_size=size),
        data=data,
        size_is_given=False,
        recipe=RECIPE,
        overrides=[f"seed={seed}"],
        weights=None,
        train=True,
        work_dir=work_dir,
        device="cpu",
        workers=0,
        quiet=True,
    )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"video_order.py: {error}")

"""Many short trainings, several at a time, of which those are skipped that have a record."""

from __future__ import annotations

import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from mogabench.catalogue import import_packages
from mogabench.engine.record import quality_record
from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.files import sha256
from mogabench.processes import die_with_parent
from mogabench.progress import progress
from mogabench.records import Kind
from mogabench.tasks import get_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.engine.job import Job
    from mogabench.records import Data, Record, Store


def train_many(
    jobs: Sequence[Job[Any, Any]],
    store: Store,
    *,
    processes: int,
    packages: Sequence[str],
    quiet: bool,
) -> list[Record]:
    """Trains networks, each on one CPU thread, and appends each record when its training ends.

    A training that was interrupted in its work folder goes on from its newest checkpoint.

    Args:
        jobs: The trainings, on the same data. One is skipped where the store has its record: of the
            same network, by the same recipe and seed, from the same weights and in the same
            arithmetic, trained and evaluated on the same data.
        store: Takes the records.
        processes: Trainings at a time.
        packages: Those of ``--import``, which each process imports.
        quiet: Plain lines instead of a progress bar.

    Returns:
        The record of each job.

    Raises:
        UserError: A job cannot be trained, or its process was killed; those that are finished have
            their records.
    """
    data = data_of(jobs[0])
    found = [earlier(job, data, store) for job in jobs]
    missing = [number for number, record in enumerate(found) if record is None]
    with (
        ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),  # torch's threads do not survive fork
            initializer=_start,
            initargs=(list(packages),),
        ) as pool,
        progress("trainings", len(missing), quiet=quiet) as step,
    ):
        futures = {pool.submit(_train, jobs[number]): number for number in missing}
        try:
            for future in as_completed(futures):
                record = future.result()
                store.append(record)
                found[futures[future]] = record
                step(f"{record.subject.backbone}, seed {record.provenance.seed}")
        except BrokenProcessPool:
            raise UserError(
                "the process of a training was killed, perhaps for lack of memory; running again "
                "goes on, with fewer --jobs if need be"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [record for record in found if record is not None]


def data_of(job: Job[Any, Any]) -> tuple[Data, Data]:
    """What records say of the data that a job trains on, and of that which it evaluates on."""
    setup = get_task(job.subject.task).prepare(job)
    assert setup.train is not None
    return setup.train.identity, setup.test.identity


def earlier(job: Job[Any, Any], data: tuple[Data, Data], store: Store) -> Record | None:
    """The record of the same training, where there is one.

    Args:
        job: The training.
        data: As of `data_of`.
        store: The records.
    """
    assert job.recipe is not None
    trained, evaluated = data
    same = {"dataset": evaluated.name, "recipe_digest": job.recipe.digest, "amp": job.amp}
    same["initial_weights"] = sha256(job.weights) if job.weights else None
    for record in store.matching(job.subject.key, Kind.QUALITY, **same):
        where = record.provenance
        if not (where.training and where.data):
            continue
        digests = where.training.data.digest, where.data.digest
        if digests == (trained.digest, evaluated.digest):
            return record
    return None


def _start(packages: list[str]) -> None:
    die_with_parent()
    # mmengine has loaders fork; these trainings have none.
    warnings.filterwarnings("ignore", "Multi-processing start method")
    torch.set_num_threads(1)
    import_packages(packages)


def _train(job: Job[Any, Any]) -> Record:
    """Trains one network, or goes on where its interrupted training ended."""
    task, job = get_task(job.subject.task), replace(job, resume=True)
    return quality_record(task, job, run(job, task))

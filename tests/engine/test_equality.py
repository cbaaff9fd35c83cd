"""Two processes train like one that takes the batches of both, in every task.

Frozen are the batch norms, whose statistics are of a process's own images on a CPU, and dropout,
whose mask is random. What a detector samples of its regions is no longer drawn but the first ones.
"""

import re
from dataclasses import replace
from zipfile import ZipFile

import pytest
import torch

from mogabench.engine.make_job import make_job
from mogabench.engine.randomness import seed_everything
from mogabench.subject import Subject
from mogabench.tasks import get_task
from tests.engine.ranks import run_on

TEN_STEPS = """
from math import ceil

from mogabench.ops import provide_mmcv_ops

provide_mmcv_ops()

from mmdet.models.task_modules.samplers import RandomSampler
from mmengine.runner import ValLoop
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from mogabench.engine.loop import ResumableLoop
from mogabench.engine.model import Trained

make, whole = ResumableLoop.__init__, Trained.train

def shorten(self, *arguments, **options):
    make(self, *arguments, **options)
    self._max_iters, self._max_epochs = 10, ceil(10 / self.steps_per_epoch)

def train(self, mode=True):
    whole(self, mode)
    for module in self.modules():
        if isinstance(module, (_BatchNorm, _DropoutNd)):
            module.eval()
    return self

ResumableLoop.__init__, Trained.train = shorten, train
ValLoop.run = lambda self: {"nothing": 0.0}
RandomSampler.random_choice = lambda self, gallery, num: gallery[:num]
"""

CASES = {
    "classification": ("classifier", "test_convnext", (32, 32)),
    "retinanet": ("retinanet", "resnet10t", (96, 96)),
    "mask_rcnn": ("mask_rcnn", "resnet10t", (96, 96)),
    "segmentation": ("semantic_fpn", "resnet10t", (64, 64)),
    "pose": ("simple_baseline", "resnet10t", (64, 64)),
    "mesh": ("expose_hand", "test_convnext", (64, 64)),
    "video": ("simvp", "moganet", (10, 1, 32, 32)),
}


def training(name, folder):
    method, backbone, size = CASES[name]
    task = get_task("detection" if name in ("retinanet", "mask_rcnn") else name)
    subject = Subject(task=task.name, method=method, backbone=backbone, input_size=size)
    rate = 0.003 if name == "mesh" else 0.01
    settings = [f"optimizer={{name: sgd, lr: {rate}, weight_decay: 0.0}}", "batch_size=4"]
    if name == "mesh":
        # Of the shape's coefficients, some are beyond the margin; their number differs.
        settings += ["loss.keypoints=0.01", "loss.rotations=0.01", "loss.shape=0.01"]
        settings += ["loss.margin=0.005", "loss.shape_prior=10.0"]
    return make_job(
        task,
        subject,
        data="sample",
        size_is_given=False,
        recipe=None,
        overrides=settings,
        weights=None,
        train=True,
        work_dir=folder,
        device="cpu",
        workers=0,
        quiet=True,
    )


def trained(ranks, job):
    outcomes = run_on(ranks, job, TEN_STEPS)
    assert not [found for found in outcomes if isinstance(found, Exception)]
    return torch.load(outcomes[0].checkpoint, weights_only=True)["state_dict"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_like_one(name, tmp_path):
    job = training(name, tmp_path / "alone")
    seed_everything(job.seed)
    start = get_task(job.subject.task).prepare(job).model.network.state_dict()
    alone = trained(1, job)
    both = trained(2, replace(job, work_dir=tmp_path / "both"))
    assert largest_difference(alone, both) < 1e-5
    assert largest_difference(alone, start) > 1e-4, "nothing was learnt"


def largest_difference(one, other):
    return torch.stack([(one[key] - other[key]).abs().max().float() for key in one]).max()


SEVEN = """
import numpy as np

from mogabench.engine.randomness import EvaluationOrder
from mogabench.tasks.pose import metric

metric.SIGMAS = 10 * np.array(metric.SIGMAS)  # or poses of random weights are like none

def seven(self, size, *, rank, world):
    self.places = range(rank, 7, world)

EvaluationOrder.__init__ = seven
"""


def contents(file):
    """The masks by name of an archive, or the entries of a text, in whatever order they are."""
    if file.suffix == ".zip":
        with ZipFile(file) as masks:
            return {name: masks.read(name) for name in masks.namelist()}
    return sorted(re.findall(rb"[^{}\n]+", file.read_bytes()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mask_rcnn", "pose", "segmentation"])
def test_three_processes_evaluate_seven_samples_like_one(name, tmp_path):
    """Two of them evaluate two, one three; what is written names each sample once.

    The other tasks gather rows, as classification does in ``tests/cli/test_processes.py``.
    """
    job = training(name, tmp_path)
    seed_everything(job.seed)
    task = get_task(job.subject.task)
    weights = task.prepare(job).model.network.state_dict()
    torch.save(weights, tmp_path / "weights.pth")
    job = replace(job, train=False, weights=tmp_path / "weights.pth", work_dir=None, batch_size=2)
    files = [tmp_path / f"{ranks}{task.predictions}" for ranks in (1, 3)]
    (alone,) = run_on(1, replace(job, predictions=files[0]), SEVEN)
    together = run_on(3, replace(job, predictions=files[1]), SEVEN)
    assert any(alone.metrics.values())
    for outcome in together:
        assert outcome.metrics == pytest.approx(alone.metrics, rel=1e-6, nan_ok=False)
    one, other = map(contents, files)
    assert one and one == other

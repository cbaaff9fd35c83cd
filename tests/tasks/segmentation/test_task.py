"""``mogabench run segmentation`` as a whole: weights in, figures and a picture out."""

import os
import signal
import time
from dataclasses import replace

import pytest
import timm
import torch
from PIL import Image

from mogabench.data.shapes import SCENE_CLASSES
from mogabench.engine.make_job import make_job
from mogabench.engine.run import run
from mogabench.engine.runner import make_runner
from mogabench.engine.saving import CHECKPOINT
from mogabench.engine.weights import load_job_weights
from mogabench.errors import UserError
from mogabench.subject import Subject
from mogabench.tasks import get_task
from mogabench.tasks.segmentation import TASK
from mogabench.tasks.segmentation.data import class_ids, evaluation_split
from mogabench.tasks.segmentation.metric import Overlap
from mogabench.tasks.segmentation.network import build_segmentor
from tests import forking


def make(tmp_path, backbone="moganet_xtiny", method="semantic_fpn", **changes):
    subject = Subject(task="segmentation", method=method, backbone=backbone, input_size=(512, 2048))
    settings = {
        "data": "sample",
        "size_is_given": False,
        "recipe": None,
        "overrides": (),
        "weights": None,
        "train": True,
        "work_dir": tmp_path / "work",
        "device": "cpu",
        "workers": 0,
        "quiet": True,
    }
    return make_job(get_task("segmentation"), subject, **settings | changes)


def test_the_truth_as_prediction_is_right_everywhere(tmp_path):
    job = make(tmp_path)
    scenes = evaluation_split(job, class_ids(job)).scenes
    metric = Overlap(SCENE_CLASSES)
    for index in range(len(scenes)):
        truth = scenes[index]["data_samples"].gt_sem_seg.data
        metric.process({}, [{"gt_sem_seg": {"data": truth}, "pred_sem_seg": {"data": truth}}])
    assert metric.evaluate(len(scenes)) == {"miou": 100, "macc": 100, "aacc": 100}


def segmentor(classes):
    subject = Subject(
        task="segmentation",
        method="upernet",
        backbone="resnet18",
        input_size=(64, 64),
        options={"num_classes": classes},
    )
    return build_segmentor(subject).eval()


@pytest.mark.slow
def test_a_checkpoint_of_mmseg_computes_the_same(tmp_path):
    one, other = segmentor(4), segmentor(4)
    theirs = {
        name.replace("backbone.network.", "backbone."): weight
        for name, weight in one.state_dict().items()
    }
    torch.save({"state_dict": theirs, "meta": {"mmseg_version": "0.29"}}, tmp_path / "mmseg.pth")
    job = make(tmp_path, "resnet18", "upernet", train=False, weights=str(tmp_path / "mmseg.pth"))
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.equal(other(image), one(image))
        load_job_weights(TASK, job, other)
        assert torch.equal(other(image), one(image))
    with pytest.raises(UserError, match=r"is it for other classes\? --new-head trains new ones"):
        load_job_weights(TASK, job, segmentor(5))


@pytest.mark.slow
def test_a_classifier_initialises_the_backbone(tmp_path):
    classifier = timm.create_model("resnet18")
    torch.save(classifier.state_dict(), tmp_path / "classifier.pth")
    job = make(tmp_path, "resnet18", weights=str(tmp_path / "classifier.pth"))
    weights = TASK.prepare(job).model.network.backbone.network.state_dict()
    assert torch.equal(weights["layer3.0.conv1.weight"], classifier.layer3[0].conv1.weight)


@pytest.mark.slow
def test_upernet_refuses_batches_of_one(tmp_path):
    job = make(tmp_path, "resnet18", "upernet", batch_size=1)
    with pytest.raises(UserError, match="two images or more in a forward pass: --batch-size 2"):
        make_runner(job, TASK.prepare(job))


@pytest.mark.slow
@pytest.mark.long
def test_moganet_learns_shapes_even_if_killed(tmp_path):
    job = make(tmp_path)
    process = forking.start(run, job, TASK)
    while process.is_alive() and not (job.work_dir / CHECKPOINT).exists():
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL and (job.work_dir / CHECKPOINT).exists()

    outcome = run(replace(job, resume=True), TASK)
    assert outcome.metrics["miou"] > 70
    assert outcome.metrics["aacc"] > 90
    assert (outcome.data.name, outcome.data.samples) == ("sample-shapes", 60)
    with Image.open(job.work_dir / "predictions.png") as picture:
        assert picture.size == (4 * 320, 2 * 320)
    alone = run(replace(job, train=False, weights=outcome.checkpoint, work_dir=None), TASK)
    assert alone.metrics == outcome.metrics

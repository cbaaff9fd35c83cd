"""What ``--size`` does to the images of a training and of an evaluation."""

from dataclasses import replace

import pytest
import torch

from mogabench.data.shapes import sample_shapes
from mogabench.engine.job import Job
from mogabench.engine.make_job import make_job
from mogabench.engine.runner import evaluation_batch
from mogabench.subject import Subject
from mogabench.tasks import load_recipe
from mogabench.tasks.detection import TASK
from mogabench.tasks.detection.network import build_detector


def test_the_counted_size_stands_for_the_papers_scale():
    paper = load_recipe("mask_rcnn_1x")
    assert paper.size == (800, 1280)
    assert paper.at_size((800, 1280)) == paper
    sample = load_recipe("sample_shapes_detection")
    assert sample.size == (96, 96)
    assert sample.at_size((800, 1280)).input.test_scale == (1333, 800)


def test_another_size_scales_training_in_proportion():
    once = load_recipe("mask_rcnn_1x").at_size((600, 1000))
    assert once.size == (600, 1000)
    assert once.input.test_scale == (1000, 600)
    assert once.input.train_scales == ((1000, 600),)
    half = load_recipe("mask_rcnn_ms3x").at_size((400, 666))
    assert half.input.train_scales[0] == (666, 240)
    assert half.input.train_scales[-1] == half.input.test_scale == (666, 400)
    assert half.augment.crop.scales == ((666, 200), (666, 250), (666, 300))
    assert half.augment.crop.size == (192, 300)


@pytest.mark.slow
@pytest.mark.parametrize("train", [True, False])
def test_images_are_of_the_size_that_was_asked_for(tmp_path, train):
    subject = Subject(
        task="detection", method="retinanet", backbone="resnet10t", input_size=(64, 128)
    )
    job = make_job(
        TASK,
        subject,
        data="sample",
        size_is_given=True,
        recipe=None,
        overrides=(),
        weights=None,
        train=True,
        work_dir=tmp_path,
        device="cpu",
        workers=0,
    )
    setup = TASK.prepare(job)
    images = (setup.train if train else setup.test).items
    assert images[0]["inputs"].shape == (3, 64, 64)  # drawn at 96x96


@pytest.mark.slow
def test_an_evaluation_without_a_recipe_is_at_that_size_too(tmp_path):
    subject = Subject(
        task="detection",
        method="retinanet",
        backbone="resnet10t",
        input_size=(64, 128),
        options={"num_classes": 3},
    )
    weights = tmp_path / "weights.pth"
    torch.save(build_detector(subject).state_dict(), weights)
    data = str(sample_shapes() / "coco")
    job = Job(subject, None, data, TASK.Options(), work_dir=tmp_path, weights=weights, workers=0)
    assert TASK.prepare(job).test.items[0]["inputs"].shape == (3, 64, 64)
    counted = replace(job, subject=subject.model_copy(update={"input_size": (800, 1280)}))
    setup = TASK.prepare(counted)
    assert setup.test.items[0]["inputs"].shape == (3, 800, 800)
    assert setup.eval_size == (800, 1333)
    assert evaluation_batch(replace(counted, batch_size=8), setup) == 1  # padding changes boxes

"""What ``--size`` does to the images of a training and of an evaluation."""

from dataclasses import replace

import pytest
import torch

from mogabench.data.shapes import sample_shapes
from mogabench.engine.job import Job, make_job
from mogabench.recipes import load
from mogabench.subject import Subject
from mogabench.tasks import get_task
from mogabench.tasks.detection.network import build_detector


def recipe_at(name, size):
    return load(name, overrides=load(name).size_settings(size))


def test_the_counted_size_stands_for_the_papers_scale():
    assert load("mask_rcnn_1x").size_settings((800, 1280)) == []
    assert recipe_at("sample_shapes_detection", (800, 1280)).input.test_scale == (1280, 800)


def test_another_size_scales_training_in_proportion():
    once = recipe_at("mask_rcnn_1x", (600, 1000))
    assert once.input.test_scale == (1000, 600)
    assert once.input.train_scales == ((1000, 600),)
    assert once.expected is None
    halved = recipe_at("mask_rcnn_ms3x", (400, 666))
    assert halved.input.train_scales[0] == (666, 240)
    assert halved.input.train_scales[-1] == halved.input.test_scale == (666, 400)
    assert halved.augment.crop.scales == ((666, 200), (666, 250), (666, 300))
    assert halved.augment.crop.size == (192, 300)


@pytest.mark.parametrize("train", [True, False])
def test_images_are_of_the_size_that_was_asked_for(tmp_path, train):
    task = get_task("detection")
    subject = Subject(
        task="detection", method="retinanet", backbone="resnet10t", input_size=(64, 128)
    )
    job = make_job(
        task,
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
    runner = task.runner(job)
    images = (runner.train_dataloader if train else runner.val_dataloader).dataset.source
    assert images[0]["inputs"].shape == (3, 64, 64)  # drawn at 96x96


def test_an_evaluation_without_a_recipe_is_at_that_size_too(tmp_path):
    task = get_task("detection")
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
    job = Job(subject, None, data, work_dir=tmp_path, weights=weights, workers=0)
    assert task.runner(job).val_dataloader.dataset.source[0]["inputs"].shape == (3, 64, 64)
    counted = replace(job, subject=subject.model_copy(update={"input_size": (800, 1280)}))
    image = task.runner(counted).val_dataloader.dataset.source[0]
    assert image["inputs"].shape == (3, 800, 800)

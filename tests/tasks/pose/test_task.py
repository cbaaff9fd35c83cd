"""The task from a job to its outcome: weights in, metrics and pictures out."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch

from mogabench.checkpoints import load_weights, save_checkpoint
from mogabench.engine.job import Job
from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.subject import Subject
from mogabench.tasks import get_task, load_recipe
from mogabench.tasks.pose import TASK
from mogabench.tasks.pose.network import build_network

BACKBONE_KEYS = Path(__file__).parents[2] / "models" / "moganet_tiny_keys.json"

HEAD_KEYS = {
    f"deconv_layers.{3 * step}.weight": [channels, 256, 4, 4]
    for step, channels in enumerate((256, 256, 256))
} | {
    f"deconv_layers.{3 * step + 1}.{name}": [] if name == "num_batches_tracked" else [256]
    for step in range(3)
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
}
HEAD_KEYS |= {"final_layer.weight": [17, 256, 1, 1], "final_layer.bias": [17]}
"""Names and shapes in mmpose 0.x's TopdownHeatmapSimpleHead behind MogaNet-T."""


def subject(backbone="test_resnet", size=(64, 64)):
    return Subject(task="pose", method="simple_baseline", backbone=backbone, input_size=size)


@pytest.fixture
def job(folder, content, tmp_path):
    """Makes a training of one step on two images; keyword arguments change the job."""

    def make(**changes):
        short = ["batch_size=4", "schedule.epochs=1", "schedule.milestones=[1]"]
        recipe = load_recipe("sample_figures", overrides=short)
        data = str(folder(content))
        base = Job(
            subject(),
            recipe,
            data,
            TASK.Options(),
            work_dir=tmp_path / "work",
            train=True,
            workers=0,
            quiet=True,
        )
        return replace(base, **changes)

    return make


@pytest.fixture
def released(tmp_path):
    """A file as mmpose 0.x writes it, of MogaNet-T, with random numbers."""
    backbone = json.loads(BACKBONE_KEYS.read_text())
    shapes = {f"backbone.{name}": backbone[name] for name in backbone if name[:4] != "head"}
    shapes |= {f"keypoint_head.{name}": shape for name, shape in HEAD_KEYS.items()}
    weights = {
        name: torch.rand(shape) if shape else torch.tensor(3) for name, shape in shapes.items()
    }
    file = tmp_path / "moganet_t_coco_256x192.pth"
    torch.save({"meta": {"epoch": 210}, "state_dict": weights}, file)
    return file, weights


def test_released_checkpoints_fit_to_the_last_name(released):
    file, weights = released
    network = build_network(subject("moganet_tiny"))
    assert set(network.state_dict()) == set(weights)
    load_weights(network, file)
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def test_a_training_saves_what_an_evaluation_reads(job, caplog):
    caplog.set_level("INFO")
    trained = run(job(), TASK)
    assert trained.data.name.endswith("-true-boxes")
    assert trained.data.samples == 4
    assert set(trained.metrics) == {metric.name for metric in get_task("pose").metrics}
    picture = job().work_dir / "predictions.png"
    assert cv2.imread(str(picture)).shape == (320, 1280, 3)
    assert caplog.text.count(f"predictions drawn: {picture}") == 1
    alone = run(job(train=False, weights=trained.checkpoint, work_dir=None, batch_size=3), TASK)
    assert alone.metrics == pytest.approx(trained.metrics)


def test_detected_boxes_are_evaluated(job, tmp_path):
    file = tmp_path / "boxes.json"
    detection = {"image_id": 7, "category_id": 1, "bbox": [10, 20, 30, 40], "score": 0.9}
    file.write_text(json.dumps([detection] * 3))
    outcome = run(job(options=TASK.Options(boxes=file)), TASK)
    assert outcome.data.samples == 3
    assert not outcome.data.name.endswith("-true-boxes")


def test_an_image_that_cannot_be_read_ends_the_run(job):
    this = job(on_bad_image="fail")
    bad = Path(this.data) / "val2017" / "b.png"
    bad.write_bytes(bad.read_bytes()[:50])
    with pytest.raises(UserError, match=f"^cannot read the image {bad}: "):
        run(this, TASK)


def test_an_image_that_cannot_be_read_is_left_out(job, caplog):
    this = job()
    for split in ("train", "val"):
        bad = Path(this.data) / f"{split}2017" / "b.png"
        bad.write_bytes(bad.read_bytes()[:50])
    outcome = run(this, TASK)
    assert f"1 val image(s) cannot be read: {bad}" in outcome.notes
    assert caplog.text.count(f"left out: cannot read the image {bad}: ") == 1
    alone = json.loads((Path(this.data) / "annotations/person_keypoints_val2017.json").read_text())
    alone["images"] = alone["images"][:1]
    alone["annotations"] = alone["annotations"][:2]
    (Path(this.data) / "annotations/person_keypoints_val2017.json").write_text(json.dumps(alone))
    again = replace(this, train=False, weights=outcome.checkpoint, work_dir=None)
    assert run(again, TASK).metrics == outcome.metrics


def test_nobody_to_find_in_what_can_be_read_is_no_figure(job, content):
    this = job()
    file = Path(this.data) / "annotations" / "person_keypoints_val2017.json"
    content["annotations"] = content["annotations"][:2]  # of the image a.png
    file.write_text(json.dumps(content))
    boxes = Path(this.data) / "boxes.json"
    box = {"category_id": 1, "bbox": [10, 20, 30, 40], "score": 0.9}
    boxes.write_text(json.dumps([{**box, "image_id": 7}, {**box, "image_id": 9}]))
    (Path(this.data) / "val2017" / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"^no readable image of .* has an annotation"):
        run(replace(this, options=TASK.Options(boxes=boxes)), TASK)


def test_weights_that_do_not_fit(job, released, tmp_path):
    pose, _ = released
    with pytest.raises(UserError, match=r"^[^\n]*does not fit[^\n]*$"):
        run(job(train=False, weights=pose, subject=subject("moganet_xtiny")), TASK)
    backbone = tmp_path / "classifier.pth"
    network = build_network(subject())
    save_checkpoint(backbone, {"state_dict": network.backbone.state_dict()})
    with pytest.raises(
        UserError,
        match=r"^[^\n]*holds no keypoint_head[^\n]*give weights of the whole network$",
    ):
        run(job(train=False, weights=backbone), TASK)


def test_training_starts_from_a_backbone(job, tmp_path):
    with torch.no_grad():
        network = build_network(subject())
        for weight in network.parameters():
            weight.fill_(0.5)
    file = tmp_path / "backbone.pth"
    save_checkpoint(file, {"state_dict": network.backbone.state_dict()})
    loaded = TASK.prepare(job(weights=file)).model.network
    assert all((weight == 0.5).all() for weight in loaded.backbone.parameters())
    assert not (loaded.keypoint_head.final_layer.weight == 0.5).any()


@pytest.mark.slow
@pytest.mark.long
def test_a_short_training_finds_the_figures(tmp_path):
    """The mean pose of the training figures scores an AP of 5 and an AP50 of 30."""
    recipe = load_recipe("sample_figures")
    outcome = run(
        Job(
            subject(),
            recipe,
            "sample",
            TASK.Options(),
            work_dir=tmp_path,
            train=True,
            workers=0,
            quiet=True,
        ),
        TASK,
    )
    assert outcome.metrics["pose_ap"] > 45
    assert outcome.metrics["pose_ap50"] > 95
    assert (tmp_path / "predictions.png").exists()

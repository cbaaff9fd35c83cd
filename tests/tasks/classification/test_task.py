import csv
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from mogabench.engine.environment import watch_disk
from mogabench.engine.randomness import seed_everything
from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.subject import Subject
from mogabench.tasks import get_task
from mogabench.tasks.classification import TASK
from mogabench.tasks.classification.metric import TopAccuracy
from mogabench.tasks.classification.model import Classifier


def subject(backbone, size=224, **options):
    return Subject(
        task="classification",
        method="classifier",
        backbone=backbone,
        input_size=(size, size),
        options=options,
    )


@pytest.mark.parametrize(
    ("asked", "classes"),
    [
        (subject("moganet_xtiny"), 1000),
        (subject("resnet18.a1_in1k", 160, num_classes=10), 10),
        (subject("swin_tiny_patch4_window7_224", 256), 1000),
        (subject("test_vit", 96), 1000),
        (subject("coatnet_0_224", 384), 1000),
    ],
)
def test_networks_are_built_for_their_input_size(asked, classes):
    task = get_task("classification")
    with torch.device("meta"):
        network = task.build(asked).eval()
        images = task.example_inputs(asked, batch_size=2)
        assert images[0].shape == (2, 3, *asked.input_size)
        assert network(*images).shape == (2, classes)


def test_what_cannot_be_built(monkeypatch):
    task = get_task("classification")
    with pytest.raises(UserError, match=r"unknown backbone 'resnet19'; did you mean .*resnet18"):
        task.build(subject("resnet19"))
    with pytest.raises(UserError, match=r"resnet18 cannot be built with .*'wings': 2.*unexpected"):
        task.build(subject("resnet18", wings=2))
    with pytest.raises(UserError, match=r"resnet50\.a1: Invalid pretrained tag"):
        task.build(subject("resnet50.a1"))
    monkeypatch.setattr(timm, "create_model", Mock(side_effect=RuntimeError("item() fails")))
    with pytest.raises(UserError, match=r"resnet18 cannot be built with .*: item\(\) fails"):
        task.build(subject("resnet18"))


@timm.models.register_model
def plain_net(num_classes=1000, **_):
    layers = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, num_classes)
    return nn.Sequential(*layers)


@timm.models.register_model
def fixed_net(**_):
    return plain_net(num_classes=7)


class Pair(nn.Sequential):
    def forward(self, images):
        return super().forward(images), images


@timm.models.register_model
def pair_net(num_classes=1000, **_):
    return Pair(plain_net(num_classes=num_classes))


def test_a_network_need_not_say_how_many_classes_it_has(job):
    model, batch = TASK.training_example(subject("plain_net", 32, num_classes=4), 8)
    assert model.predict(**batch).shape == (8, 4)
    assert batch["labels"].max() < 4
    trained = run(job("augment.mixup=0.8", "optimizer.lr=0.1", backbone="plain_net"), TASK)
    assert trained.metrics["top1"] > 60


@pytest.mark.parametrize("mixup", [0.0, 0.8])
def test_a_network_with_other_outputs_than_classes(job, mixup):
    with pytest.raises(UserError, match=r"gives \(16, 7\) numbers for 16 images of 3 classes"):
        run(job(f"augment.mixup={mixup}", backbone="fixed_net"), TASK)
    with pytest.raises(UserError, match=r"the network gives a tuple in place of logits"):
        run(job(f"augment.mixup={mixup}", backbone="pair_net"), TASK)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (("augment.rand_augment=9/0.5", "augment.color_jitter=0.9"), "color_jitter=0.9 has no"),
        (("loss.name=cross_entropy", "loss.target_threshold=0.2"), "target_threshold=0.2 has no"),
        (("augment.mixup_prob=0.5",), "mixup_prob=0.5 has no"),
        (("augment.cutmix=1.0", "augment.mixup_switch=0.0"), "mixup_switch=0.0 has no"),
    ],
)
def test_a_change_without_an_effect_is_refused(job, changes, says):
    with pytest.raises(UserError, match=rf"^\w+\.{says} effect: \w"):
        TASK.prepare(job(*changes))
    TASK.prepare(job("augment.color_jitter=0.9", "loss.name=bce", "loss.target_threshold=0.2"))
    TASK.prepare(job("augment.cutmix=1.0", "augment.mixup_prob=0.5"))


def test_a_network_of_one_size_cannot_train_at_another(job):
    with pytest.raises(UserError, match=r"test_vit takes images of one size, but .* 64 and tests"):
        run(job("input.train_size=64", backbone="test_vit"), TASK)
    assert run(job("input.train_size=64", backbone="test_resnet"), TASK).metrics["top1"] > 50


def test_accuracies_by_hand():
    metric = TopAccuracy()
    logits = torch.tensor([[9.0, 8, 7, 6, 5, 4], [4, 5, 6, 7, 8, 9]])
    # Right at once, right at the sixth place.
    metric.process({"labels": torch.tensor([0, 0])}, list(logits[:2]))
    # At the second place, at the fifth one.
    metric.process({"labels": torch.tensor([1, 1])}, list(logits[:2]))
    assert metric.evaluate(4) == {"top1": 25.0, "top5": 75.0}
    assert metric.by_class == {
        "Top-1 (%)": {"0": 50, "1": 0},
        "images": {"0": 2, "1": 2},
    }


def test_images_without_a_label_give_no_accuracy():
    metric = TopAccuracy()
    metric.process({"labels": torch.tensor([0, -1, 2])}, list(torch.eye(3)))
    with pytest.raises(UserError, match=r"^1 of the 3 images to evaluate have no label \(-1\)"):
        metric.evaluate(3)


def test_confusions_by_hand(tmp_path):
    metric = TopAccuracy(["cat", "dog, big", "eel"])
    metric.confusion = tmp_path / "confusions.csv"
    metric.process({"labels": torch.tensor([0, 0, 1])}, list(torch.eye(3)[[0, 2, 2]]))
    metric.process({"labels": torch.tensor([1])}, list(torch.eye(3)[[2]]))
    metric.evaluate(4)
    assert list(csv.reader(metric.confusion.read_text().splitlines())) == [
        ["true \\ predicted", "cat", "dog, big", "eel"],
        ["cat", "1", "0", "1"],
        ["dog, big", "0", "0", "2"],
        ["eel", "0", "0", "0"],
    ]


def test_undecided_networks_are_not_right():
    metric = TopAccuracy()
    metric.process({"labels": torch.arange(10)}, list(torch.full((10, 10), float("nan"))))
    assert metric.evaluate(10) == {"top1": 10.0, "top5": 50.0}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["loss.label_smoothing=0.3"], "smoothed"),
        (["loss={name: bce, label_smoothing: 0.0}"], "binary"),
        (["augment.mixup=0.8", "loss.label_smoothing=0.3"], "mixed"),
        (["augment.cutmix=1.0", "loss.label_smoothing=0.3"], "mixed"),
    ],
)
def test_the_loss_of_a_recipe(job, overrides, expected):
    class Identity(torch.nn.Module):
        def forward(self, images):
            self.seen = images
            return images.mean((2, 3))

    seed_everything(0)
    network = Identity()
    model = Classifier(network, job(*overrides).recipe, 3)
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 1])
    one_hot = functional.one_hot(labels, 3).float()
    given = images.clone()
    loss = model(inputs=given, labels=labels, mode="loss")["loss"]
    assert torch.equal(given, images), "a step that diverges is repeated with them"
    logits = images.mean((2, 3))
    if expected == "smoothed":
        reference = functional.cross_entropy(logits, labels, label_smoothing=0.3)
    elif expected == "binary":
        reference = functional.binary_cross_entropy_with_logits(logits, one_hot)
    else:
        # What was mixed is the batch with itself turned round; recover how much from the pixels.
        part = ((network.seen - images.flip(0)) / (images - images.flip(0)))[0].mean()
        soft = 0.7 * (part * one_hot + (1 - part) * one_hot.flip(0)) + 0.1
        reference = functional.cross_entropy(network.seen.mean((2, 3)), soft)
    assert loss.item() == pytest.approx(reference.item(), rel=1e-4)


def test_the_error_of_a_full_disk_is_one_line(tmp_path):
    refused = pytest.raises(UserError, match=r"no space left in .*; free some")
    with refused, watch_disk(tmp_path), Path("/dev/full").open("w") as full:
        full.write("x")


def test_training_in_bfloat16_and_channels_last(job):
    wanted = job("schedule.epochs=4", amp="bfloat16", channels_last=True)
    assert run(wanted, TASK).metrics["top1"] > 90


def test_predictions_name_the_images_and_give_the_accuracy(job, folder, tmp_path):
    file = tmp_path / "out" / "found.csv"
    outcome = run(replace(job(), predictions=file), TASK)
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert {row["image"] for row in rows} == {str(x) for x in (folder / "val").rglob("*.png")}
    assert all(row["label"] == Path(row["image"]).parent.name for row in rows)
    right = sum(row["class_1"] == row["label"] for row in rows)
    assert 100 * right / len(rows) == pytest.approx(outcome.metrics["top1"])
    for row in rows:
        assert sum(float(row[f"probability_{n}"]) for n in (1, 2, 3)) == pytest.approx(1, abs=1e-5)
    assert list(outcome.by_class["Top-1 (%)"]) == ["blue", "green", "red"]
    assert np.mean([*outcome.by_class["Top-1 (%)"].values()]) == outcome.metrics["top1"]

"""Images reach the network as the recipe says."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, functional

from mogabench.tasks.classification import TASK
from mogabench.tasks.classification.data import open_splits
from mogabench.tasks.classification.images import evaluation_transform, training_images

PIXELS = {"mean": (0.5,) * 3, "std": (0.5,) * 3}


def test_an_evaluation_resizes_and_crops_as_the_recipe_says_or_else_the_network(job):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8))
    small = functional.resize(image, 64, InterpolationMode.BILINEAR)
    expected = (functional.to_tensor(functional.center_crop(small, 32)) - 0.5) / 0.5
    bicubic = PIXELS | {"crop_pct": 1.0, "interpolation": "bicubic"}
    bilinear = PIXELS | {"crop_pct": 0.5, "interpolation": "bilinear"}
    by_recipe = job("input.crop_ratio=0.5", "input.test_interpolation=bilinear")
    by_network = job(recipe=None, train=False, weights="w.pth")
    for wanted, config in ((by_recipe, bicubic), (by_network, bilinear)):
        torch.testing.assert_close(evaluation_transform(wanted, config)(image), expected)


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ("input.train_size=48", "RandomResizedCropAndInterpolation(size=(48, 48)"),
        ("augment.crop_scale=[0.2, 0.6]", "scale=(0.2, 0.6)"),
        ("input.interpolation=bilinear", "interpolation=bilinear)"),
        ("augment.hflip=0.3", "RandomHorizontalFlip(p=0.3)"),
        ("augment.color_jitter=0.3", "ColorJitter(brightness=(0.7, 1.3)"),
        (
            "augment.rand_augment=7/0.25",
            "RandAugment(n=2, ops=\n\tAugmentOp(name=AutoContrast, p=0.5, m=7, mstd=0.25)",
        ),
        ("augment.three_augment=true", "AugmentOp(name=GaussianBlurRand"),
        ("augment.erasing=0.4", "RandomErasing(p=0.4, mode=pixel"),
    ],
)
def test_a_training_augments_as_the_recipe_says(change, step, job):
    for wanted, has_it in ((job(change), True), (job(), False)):
        images = training_images(wanted, open_splits(wanted)[0], PIXELS)
        assert (step in repr(images.transform)) == has_it


def test_a_training_repeats_mixes_and_thresholds_as_the_recipe_says(job):
    mixing = "mixup: 0.8, cutmix: 0.6, mixup_prob: 0.9, mixup_switch: 0.3, repeated: 3"
    off = "rand_augment: null, color_jitter: null, erasing: 0.0"
    loss = "loss={name: bce, label_smoothing: 0.2, target_threshold: 0.1}"
    setup = TASK.prepare(job(f"augment={{{mixing}, {off}}}", loss))
    assert setup.train.repeats == 3
    assert setup.model.criterion.target_threshold == 0.1
    found = setup.model.mixup
    chances = (found.mixup_alpha, found.cutmix_alpha, found.mix_prob, found.switch_prob)
    assert chances == (0.8, 0.6, 0.9, 0.3)
    assert (found.label_smoothing, found.num_classes) == (0.2, 3)

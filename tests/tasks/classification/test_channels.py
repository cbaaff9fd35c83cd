"""Grey images and images with alpha, from counting to training."""

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import resolve_data_config

from mogabench.engine.run import run
from mogabench.errors import UserError
from mogabench.tasks import choose_subject, get_task
from mogabench.tasks.classification import TASK
from mogabench.tasks.classification.channels import normalization
from mogabench.tasks.classification.data import open_splits
from mogabench.tasks.classification.images import evaluation_images, training_images


def with_channels(job, channels, *overrides, **changes):
    wanted = job(*overrides, **changes)
    options = {"options": (("in_chans", channels),)}
    return job(*overrides, subject=wanted.subject.model_copy(update=options), **changes)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_network_of_other_channels_is_counted(channels):
    subject = choose_subject(
        TASK,
        variant="xt",
        backbone=None,
        method=None,
        size="64",
        options=[f"in_chans={channels}"],
    )
    with torch.device("meta"):
        (images,) = TASK.example_inputs(subject, 2)
        assert images.shape == (2, channels, 64, 64)
        assert TASK.build(subject)(images).shape == (2, 1000)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize(
    "augment", ["rand_augment=9/0.5", "three_augment=true", "color_jitter=0.4"]
)
def test_a_training_with_every_augmentation(job, channels, augment):
    wanted = with_channels(job, channels, "schedule.epochs=1", f"augment.{augment}")
    outcome = run(wanted, TASK)
    meta = torch.load(outcome.checkpoint, weights_only=True)["meta"]
    assert len(meta["mean"]) == len(meta["std"]) == meta["options"]["in_chans"] == channels


def test_pixels_are_normalised_by_channel(job, folder):
    colour, alpha = (200, 100, 50), 51
    for file in folder.glob("*/*/*.png"):
        Image.new("RGBA", (40, 40), (*colour, alpha)).save(file)
    config = resolve_data_config({"in_chans": 3})
    for channels, pixel in ((1, [124.2]), (4, [*colour, alpha])):  # .299 .587 .114 make grey
        wanted = with_channels(job, channels)
        pixels = normalization(config, channels)
        chosen = config | {"mean": pixels.mean, "std": pixels.std}
        item = evaluation_images(wanted, open_splits(wanted)[1], chosen)[0]["inputs"]
        mean = [0.449] if channels == 1 else [0.485, 0.456, 0.406, 0.5]
        std = [0.226] if channels == 1 else [0.229, 0.224, 0.225, 0.5]
        expected = (np.array(pixel) / 255 - mean) / std
        assert item[:, 16, 16].numpy() == pytest.approx(expected, abs=0.02)


def test_augmentation_of_colours_leaves_alpha(job, folder):
    for file in folder.glob("*/*/*.png"):
        image = Image.open(file).convert("RGBA")
        image.putalpha(51)
        image.save(file)
    wanted = with_channels(job, 4, "augment.color_jitter=0.4", "augment.three_augment=true")
    config = {"mean": (0.5,) * 4, "std": (0.5,) * 4}
    images = training_images(wanted, open_splits(wanted)[0], config)
    for index in range(16):
        assert images[index]["inputs"][3] == pytest.approx(2 * 51 / 255 - 1, abs=1e-6)


def test_what_there_are_no_images_for(job):
    with pytest.raises(UserError, match=r"in_chans=2: images have 1 channel .*, 3 .* or 4"):
        run(with_channels(job, 2), TASK)
    with pytest.raises(UserError, match=r"in_chans=0 is not a number of channels"):
        run(with_channels(job, 0), TASK)


@pytest.mark.parametrize("task", ["detection", "segmentation", "pose", "mesh", "video"])
def test_other_tasks_have_no_such_option(task):
    chosen = get_task(task)
    with pytest.raises(UserError, match=f"^{task} takes no --option in_chans: "):
        choose_subject(
            chosen,
            variant=None,
            backbone="resnet18" if task != "video" else "gsta",
            method=None,
            size=None,
            options=["in_chans=1"],
        )

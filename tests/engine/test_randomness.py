import pytest
import torch
from PIL import Image
from timm.data import auto_augment

from mogabench.engine.loading import training_loader
from mogabench.engine.randomness import EvaluationOrder, TrainingOrder
from mogabench.engine.task import Source
from mogabench.tasks.classification.data import open_splits
from mogabench.tasks.classification.images import training_images

CONFIG = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def drawn(order, epoch=0, done=0):
    order.start(epoch, done)
    return list(order)


def test_an_epoch_draws_each_image_once_in_an_order_of_its_own():
    order = TrainingOrder(100, seed=3)
    first, second = ([draw.image for draw in drawn(order, epoch)] for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert [draw.image for draw in drawn(TrainingOrder(100, seed=4))] != first


GROUPED = {"groups": [number % 3 == 0 for number in range(60)], "step": 6}


@pytest.mark.parametrize("options", [{}, GROUPED])
def test_starting_within_an_epoch_gives_the_rest_of_it(options):
    order = TrainingOrder(60, seed=3, **options)
    assert drawn(order, 2, 37) == drawn(order, 2)[37:]


def test_no_draw_has_the_number_of_another():
    order = TrainingOrder(10, seed=3)
    assert [draw.number for epoch in range(3) for draw in drawn(order, epoch)] == list(range(30))


@pytest.mark.parametrize("options", [{}, GROUPED])
def test_processes_share_what_one_would_draw(options):
    alone = drawn(TrainingOrder(60, seed=3, **options))
    shares = [drawn(TrainingOrder(60, seed=3, rank=rank, world=3, **options)) for rank in range(3)]
    assert [draw for turn in zip(*shares, strict=True) for draw in turn] == alone


def test_repeated_augmentation_draws_a_third_of_the_images_three_times():
    images = [draw.image for draw in drawn(TrainingOrder(60, seed=3, repeats=3))]
    assert len(images) == 60
    assert images[0::3] == images[1::3] == images[2::3]
    assert len(set(images)) == 20


def test_processes_evaluate_every_image_once():
    shares = [list(EvaluationOrder(10, rank=rank, world=4)) for rank in range(4)]
    assert sorted(draw.image for share in shares for draw in share) == list(range(10))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_depend_on_seed_epoch_and_place_only(job, workers):
    augmented = ("augment.rand_augment=9/0.5", "augment.erasing=0.5", "augment.hflip=0.5")
    wanted = job(*augmented, workers=workers)
    split, _ = open_splits(wanted)
    images = training_images(wanted, split, CONFIG)
    loader = training_loader(wanted, Source(images, split.identity), 8)
    whole = [batch["inputs"] for batch in loader]
    torch.manual_seed(workers)  # whatever state the process is in
    loader.sampler.start(0, 16)
    again = [batch["inputs"] for batch in loader]
    assert len(again) == len(whole) - 2
    assert all(torch.equal(a, b) for a, b in zip(again, whole[2:], strict=True))
    loader.sampler.start(1, 16)
    assert not torch.equal(next(iter(loader))["inputs"], whole[2])


def test_the_highest_level_of_posterizing_makes_an_image_black(job):
    # timm asks for no bits there, which Pillow refuses from version 13 on.
    wanted = job("augment.rand_augment=10/0.0")
    split, _ = open_splits(wanted)
    steps = training_images(wanted, split, CONFIG).transform.transforms
    (policy,) = (step for step in steps if isinstance(step, auto_augment.RandAugment))
    (posterize,) = (op for op in policy.ops if op.name == "PosterizeIncreasing")
    posterize.prob = 1.0
    grey = Image.new("RGB", (4, 4), "grey")
    assert posterize(grey).getextrema() == ((0, 0),) * 3
    assert auto_augment.NAME_TO_OP["PosterizeIncreasing"] is auto_augment.posterize

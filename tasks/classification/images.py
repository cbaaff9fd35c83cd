"""The images of a split as tensors: timm's transforms, and replacements for unreadable images."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mmengine.dist import get_dist_info
from PIL import Image
from timm.data import auto_augment, create_transform
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from mogabench.engine.randomness import seed_everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mogabench.tasks.classification.data import ClassificationJob, Split
    from mogabench.tasks.classification.recipe import ClassificationRecipe

Transform = Callable[[Image.Image], Tensor]

Sample = dict[str, Tensor | int]
"""``inputs`` ``(3, H, W)``, ``labels``, and in ``unreadable`` the index of an image that is."""

SKIPPED = -1
"""The label of a blank image that stands for one that cannot be read."""

NONE = -1
"""In ``unreadable``: the image could be read."""

_DAMAGE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises for files with random bytes changed or missing, over its common formats."""

_REPLACEMENTS = 20
"""Others to try in training where one cannot be read; if half cannot, 1 in 10^6 ends blank."""


class Images(Dataset[Sample]):
    """The images of a split as tensors.

    For an unreadable image training gets another, chosen at random, and evaluation a blank one
    labelled `SKIPPED`; either way ``unreadable`` is its index.

    Args:
        split: An indexable split.
        transform: From PIL's images to tensors.
        training: Whether to replace unreadable images rather than to skip them.
    """

    def __init__(self, split: Split, transform: Transform, *, training: bool) -> None:
        self.split, self.transform, self.training = split, transform, training

    def __len__(self) -> int:
        return self.split.identity.samples

    def __getitem__(self, index: int) -> Sample:
        found = self._read(index)
        unreadable = NONE if found else index
        for _ in range(_REPLACEMENTS if self.training else 0):
            found = found or self._read(random.randrange(len(self)))
        image, label = found or (Image.new("RGB", (1, 1)), SKIPPED)
        return {"inputs": self.transform(image), "labels": label, "unreadable": unreadable}

    def _read(self, index: int) -> tuple[Image.Image, int] | None:
        try:
            file, label = self.split.source.reader[index]
            with file:
                return Image.open(file).convert("RGB"), label
        except _DAMAGE:
            return None


class Stream(IterableDataset[Sample]):
    """The images of a split that has no index; a reader that skips damaged images does so itself.

    Args:
        split: A streamed split.
        transform: From PIL's images to tensors.
        seed: Of the augmentation.
        rank: This process.
    """

    def __init__(self, split: Split, transform: Transform, seed: int, *, rank: int) -> None:
        self.split, self.transform, self.seed, self.rank = split, transform, seed, rank
        self.epoch = 0

    def start(self, epoch: int) -> None:
        """Makes the next iteration begin an epoch."""
        self.epoch = epoch
        self.split.source.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.split.source)

    def __iter__(self) -> Iterator[Sample]:
        worker = get_worker_info()
        assert worker is not None, "streams are read by workers, which begin each epoch afresh"
        for count, (image, label) in enumerate(self.split.source):
            seed_everything(self.seed, self.epoch, self.rank, worker.id, count)
            yield {"inputs": self.transform(image), "labels": int(label), "unreadable": NONE}


def training_images(
    job: ClassificationJob, split: Split, data_config: dict[str, Any]
) -> Images | Stream:
    """A split's images with the recipe's augmentation.

    Args:
        job: Its recipe gives the augmentation, its seed the randomness.
        split: What to load.
        data_config: The network's, as timm resolves it; gives mean and standard deviation.
    """
    assert job.recipe is not None
    transform = _training_transform(job.recipe, data_config)
    if split.is_stream:
        return _stream(job, split, transform)
    return Images(split, transform, training=True)


def evaluation_images(
    job: ClassificationJob, split: Split, data_config: dict[str, Any]
) -> Images | Stream:
    """A split's images as centre crops.

    Args:
        job: Its recipe, where it has one, gives crop ratio and interpolation.
        split: What to load.
        data_config: The network's, as timm resolves it; gives the rest.
    """
    transform = _evaluation_transform(job, data_config)
    if split.is_stream:
        return _stream(job, split, transform)
    return Images(split, transform, training=False)


def _stream(job: ClassificationJob, split: Split, transform: Transform) -> Stream:
    split.source.set_loader_cfg(num_workers=max(job.workers, 1))
    return Stream(split, transform, job.seed, rank=get_dist_info()[0])


def _posterize(image: Image.Image, bits: int, **options: Any) -> Image.Image:
    """timm's, but keeping no bits makes an image black, as it did before Pillow 13 refused it."""
    result: Image.Image
    result = auto_augment.posterize(image, bits, **options) if bits else image.point(lambda _: 0)
    return result


def _training_transform(recipe: ClassificationRecipe, data_config: dict[str, Any]) -> Transform:
    augment = recipe.augment
    policy = "3a" if augment.three_augment else None
    if augment.rand_augment:
        policy = "rand-m{}-mstd{}-inc1".format(*augment.rand_augment.split("/"))
    transform: Transform = create_transform(
        recipe.input.train_size,
        is_training=True,
        scale=augment.crop_scale,
        hflip=augment.hflip,
        # timm leaves it out beside RandAugment, in the paper's runs as here (Tables A2 and A3).
        color_jitter=augment.color_jitter,
        auto_augment=policy,
        interpolation=recipe.input.interpolation,
        mean=data_config["mean"],
        std=data_config["std"],
        re_prob=augment.erasing,
        re_mode="pixel",
    )
    for step in getattr(transform, "transforms", ()):
        # RandAugment 9/0.5 asks for no bits at its highest level, once in about 650 images.
        for operation in getattr(step, "ops", ()):
            if getattr(operation, "aug_fn", None) is auto_augment.posterize:
                operation.aug_fn = _posterize
    return transform


def _evaluation_transform(job: ClassificationJob, data_config: dict[str, Any]) -> Transform:
    chosen = dict(data_config)
    if job.recipe is not None:
        chosen["crop_pct"] = job.recipe.input.crop_ratio
        chosen["interpolation"] = job.recipe.input.test_interpolation
    chosen["input_size"] = job.subject.input_size
    transform: Transform = create_transform(**chosen, is_training=False)
    return transform

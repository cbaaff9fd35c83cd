"""The images of a split as tensors, by timm's transforms."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from mmengine.dist import get_dist_info
from timm.data import auto_augment, create_transform
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from mogabench.data.images import ImageError, decode_image
from mogabench.engine.randomness import seed_everything
from mogabench.tasks.classification.channels import image_mode, keep_alpha

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from mogabench.tasks.classification.data import ClassificationJob, Split
    from mogabench.tasks.classification.recipe import ClassificationRecipe

Transform = Callable[["Image.Image"], Tensor]

Sample = dict[str, Tensor | int]
"""``inputs`` ``(C, H, W)``, ``labels``, and ``index`` but in streams, the place in the split."""


class Images(Dataset[Sample]):
    """The images of a split as tensors.

    Args:
        split: An indexable split.
        transform: From PIL's images to tensors.
        mode: Pillow's, of the images.
    """

    def __init__(self, split: Split, transform: Transform, mode: str) -> None:
        self.split, self.transform, self.mode = split, transform, mode

    def __len__(self) -> int:
        return self.split.identity.samples

    def __getitem__(self, index: int) -> Sample:
        name = self.split.name_of(index)
        try:
            file, label = self.split.source.reader[index]
            with file:
                content = file.read()
        except OSError as error:
            raise ImageError(name, error.strerror or str(error)) from None
        image = decode_image(content, name, mode=self.mode)
        return {"inputs": self.transform(image), "labels": label, "index": index}


class Stream(IterableDataset[Sample]):
    """The images of a split that has no index; a reader that skips damaged images does so itself.

    Args:
        split: A streamed split.
        transform: From PIL's images to tensors.
        seed: Of the augmentation.
        rank: This process.
        sharing: Processes whose readers give the same samples, which they take in turns.
    """

    def __init__(
        self, split: Split, transform: Transform, seed: int, *, rank: int, sharing: int
    ) -> None:
        self.split, self.transform, self.seed = split, transform, seed
        self.rank, self.sharing = rank, sharing
        self.epoch = 0

    def start(self, epoch: int) -> None:
        """Makes the next iteration begin an epoch."""
        self.epoch = epoch
        self.split.source.set_epoch(epoch)

    def __len__(self) -> int:
        return math.ceil(len(self.split.source) / self.sharing)

    def __iter__(self) -> Iterator[Sample]:
        worker = get_worker_info()
        assert worker is not None, "streams are read by workers, which begin each epoch afresh"
        own = islice(self.split.source, self.rank % self.sharing, None, self.sharing)
        for count, (image, label) in enumerate(own):
            seed_everything(self.seed, self.epoch, self.rank, worker.id, count)
            yield {"inputs": self.transform(image), "labels": int(label)}


def training_images(
    job: ClassificationJob, split: Split, data_config: dict[str, Any]
) -> Images | Stream:
    """A split's images with the recipe's augmentation.

    Args:
        job: Its recipe gives the augmentation, its seed the randomness.
        split: What to load.
        data_config: The network's, as timm resolves it; gives mean and standard deviation, whose
            number is that of the channels.
    """
    assert job.recipe is not None
    return _images(job, split, _training_transform(job.recipe, data_config), data_config)


def evaluation_images(
    job: ClassificationJob, split: Split, data_config: dict[str, Any]
) -> Images | Stream:
    """A split's images as centre crops.

    Args:
        job: As for `evaluation_transform`.
        split: What to load.
        data_config: Likewise.
    """
    return _images(job, split, evaluation_transform(job, data_config), data_config)


def _images(
    job: ClassificationJob, split: Split, transform: Transform, data_config: dict[str, Any]
) -> Images | Stream:
    if not split.is_stream:
        return Images(split, transform, image_mode(len(data_config["mean"])))
    rank, world = get_dist_info()
    reader = split.source.reader
    if not reader.is_training:
        # timm would repeat and leave out samples, to give each process as many.
        reader.dist_rank, reader.dist_num_replicas = 0, 1
    split.source.set_loader_cfg(num_workers=max(job.workers, 1))
    sharing = 1 if reader.is_training else world
    return Stream(split, transform, job.seed, rank=rank, sharing=sharing)


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
    steps = getattr(transform, "transforms", [])
    operations = [operation for step in steps for operation in _operations(step)]
    for operation in operations:
        # RandAugment 9/0.5 asks for no bits at its highest level, once in about 650 images.
        if operation.aug_fn is auto_augment.posterize:
            operation.aug_fn = _posterize
    if len(data_config["mean"]) == 4:
        keep_alpha(steps, operations)
    return transform


def _operations(step: Any) -> list[Any]:
    """timm's operations in a step: those of RandAugment, or of a policy's lists."""
    return [*getattr(step, "ops", ()), *chain.from_iterable(getattr(step, "policy", ()))]


def evaluation_transform(job: ClassificationJob, data_config: dict[str, Any]) -> Transform:
    """The centre crop of an evaluation.

    Args:
        job: Its recipe, where it has one, gives crop ratio and interpolation, its subject the size.
        data_config: The network's, as timm resolves it; gives the rest.
    """
    chosen = dict(data_config)
    if job.recipe is not None:
        chosen["crop_pct"] = job.recipe.input.crop_ratio
        chosen["interpolation"] = job.recipe.input.test_interpolation
    chosen["input_size"] = job.subject.input_size
    transform: Transform = create_transform(**chosen, is_training=False)
    return transform

"""Semantic segmentation: a segmentor on a timm network, judged by the overlap of its classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.catalogue import backbones
from mogabench.errors import UserError
from mogabench.recipes.segmentation_schema import SegmentationRecipe
from mogabench.tasks import Metric

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor, nn

    from mogabench.engine.job import Job
    from mogabench.engine.runner import QuietRunner
    from mogabench.subject import Subject


class Segmentation:
    """See `mogabench.tasks.Task`."""

    name = "segmentation"
    title = "Semantic segmentation"
    methods = ("semantic_fpn", "upernet")
    metrics = (
        Metric("miou", "mIoU (%)", "%"),
        Metric("macc", "mAcc (%)", "%"),
        Metric("aacc", "aAcc (%)", "%"),
    )
    default_sizes: Mapping[str, tuple[int, ...]] = dict.fromkeys(methods, (512, 2048))
    recipe_schema = SegmentationRecipe
    sample_recipe = "sample_shapes_segmentation"
    datasets: Mapping[str, str] = dict.fromkeys(methods, "ade20k")
    counting = "one image of the given size, without the auxiliary head"

    def backbones(self) -> Collection[str]:
        """Every network that timm knows."""
        return backbones()

    def default_recipe(self, subject: Subject) -> str:
        """The method's; UperNet's at 640 pixels is that of the networks from ImageNet-21K."""
        if subject.method == "semantic_fpn":
            return "semantic_fpn_80k"
        return "upernet_160k_640" if subject.input_size == (640, 2560) else "upernet_160k"

    def build(self, subject: Subject) -> nn.Module:
        """Builds the segmentor with random weights, for 150 classes unless its options say else.

        Raises:
            UserError: The backbone is unknown or gives no pyramid, or an option does not fit.
        """
        from mogabench.segmentation.network import build_segmentor

        return build_segmentor(subject)

    def example_inputs(self, subject: Subject, batch_size: int = 1) -> tuple[Tensor, ...]:
        """Random images ``(batch_size, 3, H, W)``."""
        import torch

        return (torch.randn(batch_size, 3, *subject.input_size),)

    def runner(self, job: Job) -> QuietRunner:
        """Opens the data, builds the network for its classes, loads weights, joins them up.

        Raises:
            UserError: Data, network, weights and recipe do not fit together.
        """
        from mmengine.dataset import pseudo_collate

        from mogabench.engine.job import SAMPLE
        from mogabench.engine.loading import evaluation_loader, training_loader
        from mogabench.engine.randomness import seed_everything
        from mogabench.engine.runner import batches_per_step, make_runner
        from mogabench.openmmlab.model import OpenMMLabModel, subject_for_data
        from mogabench.openmmlab.weights import load_for
        from mogabench.segmentation.metric import Overlap
        from mogabench.segmentation.network import build_segmentor
        from mogabench.segmentation.pictures import DrawMasks
        from mogabench.segmentation.scenes import class_names, evaluation_split, training_split

        assert job.work_dir is not None
        recipe = job.recipe if isinstance(job.recipe, SegmentationRecipe) else None
        test, train, training, crop = evaluation_split(job, recipe), None, None, None
        classes = class_names(job)
        if job.train and recipe is not None:
            train, crop = training_split(job, recipe), (recipe.input.crop,) * 2
            size, _ = batches_per_step(job)
            _check_batch(job, size)
            training = training_loader(job, train.scenes, size, collate=pseudo_collate)
        seed_everything(job.seed)
        network = build_segmentor(subject_for_data(job, len(classes)), crop=crop)
        load_for(job, network)
        hooks = []
        if job.train or job.data == SAMPLE:
            hooks.append(DrawMasks(job.work_dir, test.scenes.metainfo["palette"]))
        return make_runner(
            job,
            OpenMMLabModel(network, job),
            training=training,
            # One at a time: images of different sizes make no batch.
            evaluation=evaluation_loader(job, test.scenes, 1, collate=pseudo_collate),
            metric=Overlap(classes),
            train_data=train.identity if train else None,
            test_data=test.identity,
            hooks=hooks,
        )


def _check_batch(job: Job, size: int) -> None:
    from mogabench.openmmlab.configs import batch_norm

    if size == 1 and job.subject.method == "upernet" and batch_norm() == "BN":
        raise UserError(
            "UperNet normalises single pixels of a whole image over the batch, so it needs two "
            "images or more in a forward pass: --batch-size 2"
        )


TASK = Segmentation()

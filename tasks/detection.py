"""Object detection and instance segmentation: a detector on a timm network, judged on COCO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.catalogue import backbones
from mogabench.recipes.detection_schema import COUNTED_SIZE, DetectionRecipe
from mogabench.tasks import Metric

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mmengine.hooks import Hook
    from torch import Tensor, nn

    from mogabench.engine.job import Job
    from mogabench.engine.runner import QuietRunner
    from mogabench.subject import Subject

_WHAT = {"box": "Box", "mask": "Mask"}
_KINDS = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_s": "AP S",
    "ap_m": "AP M",
    "ap_l": "AP L",
}


class Detection:
    """See `mogabench.tasks.Task`."""

    name = "detection"
    title = "Object detection and instance segmentation"
    methods = ("retinanet", "mask_rcnn", "cascade_mask_rcnn")
    metrics = tuple(
        Metric(f"{what}_{kind}", f"{title} {label} (%)", "%")
        for what, title in _WHAT.items()
        for kind, label in _KINDS.items()
    )
    default_sizes: Mapping[str, tuple[int, ...]] = dict.fromkeys(methods, COUNTED_SIZE)
    recipe_schema = DetectionRecipe
    sample_recipe = "sample_shapes_detection"
    datasets: Mapping[str, str] = dict.fromkeys(methods, "coco-2017")
    counting = "one image, in detectors of two stages or more with 1000 proposals and 100 masks"

    def backbones(self) -> Collection[str]:
        """Every network that timm knows; not all of them give a pyramid."""
        return backbones()

    def default_recipe(self, subject: Subject) -> str:
        """The one that the paper's tables of the method follow."""
        schedule = "ms3x" if subject.method == "cascade_mask_rcnn" else "1x"
        return f"{subject.method}_{schedule}"

    def build(self, subject: Subject) -> nn.Module:
        """Builds the detector with random weights; it runs on a fixed number of regions.

        Raises:
            UserError: The backbone is unknown or gives no pyramid, or an option does not fit.
        """
        from mogabench.detection.counting import FixedRegions
        from mogabench.detection.network import build_detector

        return FixedRegions(build_detector(subject))

    def example_inputs(self, subject: Subject, batch_size: int = 1) -> tuple[Tensor, ...]:
        """Random images ``(batch_size, 3, H, W)``."""
        import torch

        return (torch.randn(batch_size, 3, *subject.input_size),)

    def runner(self, job: Job) -> QuietRunner:
        """Opens the data, builds the detector for its classes, loads weights, joins them up.

        Raises:
            UserError: Data, network, weights and recipe do not fit together.
        """
        from mmengine.dataset import pseudo_collate

        from mogabench.detection.annotations import check_same_classes
        from mogabench.detection.data import (
            Images,
            RepairedAnnotations,
            evaluation_transforms,
            open_split,
            training_transforms,
        )
        from mogabench.detection.drawing import DrawDetections
        from mogabench.detection.metric import CocoPrecision
        from mogabench.detection.network import build_detector
        from mogabench.engine.job import SAMPLE
        from mogabench.engine.loading import evaluation_loader, training_loader
        from mogabench.engine.randomness import seed_everything
        from mogabench.engine.runner import batches_per_step, make_runner
        from mogabench.openmmlab.model import OpenMMLabModel, subject_for_data
        from mogabench.openmmlab.weights import load_for

        assert job.work_dir is not None
        recipe = _recipe(job)
        masks = job.subject.method != "retinanet"
        train_split = open_split(job, "train", masks=masks) if job.train else None
        test_split = open_split(job, "val", masks=masks)
        classes = test_split.annotations.classes
        if train_split is not None:
            check_same_classes(train_split.annotations, test_split.annotations)
        seed_everything(job.seed)
        network = build_detector(
            subject_for_data(job, len(classes)), roi_samples=recipe.model.roi_samples
        )
        load_for(job, network)
        training = train_data = None
        if train_split is not None:
            images = Images(train_split, training_transforms(recipe, masks=masks), training=True)
            size, _ = batches_per_step(job)
            training = training_loader(job, images, size, collate=pseudo_collate)
            train_data = train_split.identity.model_copy(update={"samples": len(images)})
        tested = Images(test_split, evaluation_transforms(recipe.input.test_scale), training=False)
        hooks: list[Hook] = [RepairedAnnotations([train_split, test_split])]
        if job.train or job.data == SAMPLE:
            hooks.append(DrawDetections(job.work_dir, classes))
        return make_runner(
            job,
            OpenMMLabModel(network, job),
            training=training,
            evaluation=evaluation_loader(job, tested, job.batch_size or 1, collate=pseudo_collate),
            metric=CocoPrecision(test_split.annotations, masks=masks),
            train_data=train_data,
            test_data=test_split.identity,
            hooks=hooks,
        )


def _recipe(job: Job) -> DetectionRecipe:
    """The job's recipe, or, to evaluate without one, the method's own at the subject's size."""
    from mogabench.recipes import load

    recipe = job.recipe
    if recipe is None:
        name = TASK.default_recipe(job.subject)
        recipe = load(name, overrides=load(name).size_settings(job.subject.input_size))
    assert isinstance(recipe, DetectionRecipe)
    return recipe


TASK = Detection()

"""Object detection and instance segmentation: a detector on a timm network, by COCO's AP."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from mogabench.engine.coco_files import CocoFiles
from mogabench.engine.task import Metric, Task
from mogabench.errors import UserError
from mogabench.ops import provide_mmcv_ops
from mogabench.tasks.detection.recipe import COUNTED_SIZE, DetectionRecipe

if TYPE_CHECKING:
    from torch import nn

    from mogabench.checkpoints import Description
    from mogabench.data.normalization import Normalization
    from mogabench.engine.job import Job
    from mogabench.engine.prediction import Predictor
    from mogabench.engine.task import Setup
    from mogabench.subject import Subject

provide_mmcv_ops()  # before any module here imports mmdet

_OF_WHAT = {"box": "Box", "mask": "Mask"}
_KINDS = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_s": "AP S",
    "ap_m": "AP M",
    "ap_l": "AP L",
}
_METHODS = ("retinanet", "mask_rcnn", "cascade_mask_rcnn")


class Detection(Task[DetectionRecipe, CocoFiles]):
    """See `mogabench.engine.task.Task`."""

    name = "detection"
    title = "Object detection and instance segmentation"
    methods = _METHODS
    metrics = tuple(
        Metric(f"{what}_{kind}", f"{title} {label} (%)", "%")
        for what, title in _OF_WHAT.items()
        for kind, label in _KINDS.items()
    )
    default_sizes = dict.fromkeys(_METHODS, COUNTED_SIZE)
    Recipe = DetectionRecipe
    Options = CocoFiles
    sample_recipe = "sample_shapes_detection"
    predictions = ".json"
    has_classes = True
    example = "--method retinanet --backbone resnet10t"
    backbone_module = "backbone.network"
    graph_part = "backbone and neck"
    datasets = dict.fromkeys(_METHODS, "coco-2017")
    samples = dict.fromkeys(_METHODS, (117_266, 5_000))
    counted_input = "one image; detectors of two stages take 1000 proposals and 100 masks"

    def default_recipe(self, subject: Subject) -> str:
        """The one that the paper's tables of the method follow."""
        schedule = "ms3x" if subject.method == "cascade_mask_rcnn" else "1x"
        return f"{subject.method}_{schedule}"

    def build(self, subject: Subject) -> nn.Module:
        """Builds the detector with random weights; it runs on a fixed number of regions."""
        from mogabench.tasks.detection.counting import FixedRegions
        from mogabench.tasks.detection.network import build_detector

        return FixedRegions(build_detector(subject))

    def graph(self, network: nn.Module) -> nn.Module:
        """Images to the maps of the pyramid; what comes after depends on the boxes in them."""
        from mogabench.tasks.detection.network import Pyramid

        return Pyramid(_detector(network))

    def with_graph(self, network: nn.Module, graph: nn.Module) -> nn.Module:
        """The detector, whose neck takes images."""
        from mogabench.tasks.detection.network import replace_pyramid

        replace_pyramid(_detector(network), graph)
        return network

    def normalization(self, network: Any, subject: Subject) -> Normalization:
        """That of the network's own preprocessing."""
        from mogabench.openmmlab.model import normalization

        return normalization(network)

    def prepare(self, job: Job[DetectionRecipe, CocoFiles]) -> Setup:
        """Reads the annotations, builds the detector for their classes and loads its weights."""
        from mogabench.engine.task import Setup
        from mogabench.engine.weights import load_job_weights
        from mogabench.openmmlab.model import OpenMMLabModel
        from mogabench.tasks.detection.annotations import check_same_classes
        from mogabench.tasks.detection.data import evaluation_source, open_split, training_source
        from mogabench.tasks.detection.drawing import DrawDetections
        from mogabench.tasks.detection.metric import CocoPrecision
        from mogabench.tasks.detection.network import build_detector

        recipe = job.recipe or self._recipe_at(job.subject)
        if job.train:
            _check_changes(recipe, job.subject.method)
        masks = job.subject.method != "retinanet"
        train_split = (
            open_split(job.data, "train", masks=masks, files=job.options) if job.train else None
        )
        test_split = open_split(job.data, "val", masks=masks, files=job.options)
        classes = test_split.annotations.classes
        if train_split is not None:
            check_same_classes(train_split.annotations, test_split.annotations)
        build = partial(build_detector, roi_samples=recipe.model.roi_samples)
        network = build(job.network_subject(len(classes)))
        loaded = load_job_weights(self, job, network, classes=classes, build=build)
        train, notes = None, [*test_split.notes, *loaded]
        if train_split is not None:
            train, about = training_source(train_split, recipe, masks=masks)
            notes = [*about, *notes]
        long, short = recipe.input.test_scale
        return Setup(
            OpenMMLabModel(network),
            evaluation_source(test_split, recipe),
            CocoPrecision(test_split.annotations, masks=masks),
            train,
            notes=notes,
            drawing=DrawDetections(classes),
            eval_batch=1,
            max_eval_batch=1,  # a batch pads images, and norms and pools see the padding
            eval_size=(short, long),
            classes=classes,
            class_ids=test_split.annotations.class_ids,
        )

    def predictor(
        self, job: Job[DetectionRecipe, CocoFiles], stated: Description | None
    ) -> Predictor:
        """Builds the detector for the classes that its weights state, and loads these."""
        from mogabench.engine.weights import load_job_weights
        from mogabench.openmmlab.model import OpenMMLabModel
        from mogabench.tasks.detection.network import COCO_CLASSES, build_detector
        from mogabench.tasks.detection.prediction import DetectionPredictor, class_names

        recipe = job.recipe or self._recipe_at(job.subject)
        named = stated.classes if stated is not None else ()
        subject = job.network_subject(len(named) or None)
        network = build_detector(subject)
        notes = load_job_weights(self, job, network, classes=named)
        options: dict[str, Any] = dict(subject.options)
        ids = stated.class_ids if stated is not None else ()
        return DetectionPredictor(
            job,
            OpenMMLabModel(network),
            recipe.input.test_scale,
            class_names(named, ids, options.get("num_classes", COCO_CLASSES)),
            notes,
        )

    def _recipe_at(self, subject: Subject) -> DetectionRecipe:
        """To evaluate without a recipe: the method's own at the subject's size."""
        from mogabench.recipes import load

        return load(self.default_recipe(subject), self).at_size(subject.input_size)


def _detector(network: Any) -> Any:
    """The detector in what `Detection.build` gives, or itself."""
    return getattr(network, "detector", network)


def _check_changes(recipe: DetectionRecipe, method: str) -> None:
    """Refuses a change that the method leaves without an effect: a record would state it.

    Raises:
        UserError: There is one.
    """
    key = "model.roi_samples"
    if method == "retinanet" and key in recipe.changes:
        raise UserError(f"{key}={recipe.changes[key]} has no effect: retinanet has one stage")


TASK = Detection()

"""Semantic segmentation: a segmentor on a timm network, evaluated by mIoU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from mogabench.engine.task import Metric, Task
from mogabench.errors import UserError
from mogabench.ops import provide_mmcv_ops
from mogabench.tasks.segmentation.options import SegmentationOptions
from mogabench.tasks.segmentation.recipe import SegmentationRecipe

if TYPE_CHECKING:
    from torch import nn

    from mogabench.checkpoints import Description
    from mogabench.data.normalization import Normalization
    from mogabench.engine.job import Job
    from mogabench.engine.prediction import Predictor
    from mogabench.engine.task import Setup
    from mogabench.subject import Subject

provide_mmcv_ops()  # before any module here imports mmseg


class Segmentation(Task[SegmentationRecipe, SegmentationOptions]):
    """See `mogabench.engine.task.Task`."""

    name = "segmentation"
    title = "Semantic segmentation"
    methods = ("semantic_fpn", "upernet")
    metrics = (
        Metric("miou", "mIoU (%)", "%"),
        Metric("macc", "mAcc (%)", "%"),
        Metric("aacc", "aAcc (%)", "%"),
    )
    default_sizes = {"semantic_fpn": (512, 2048), "upernet": (512, 2048)}
    Recipe = SegmentationRecipe
    Options = SegmentationOptions
    sample_recipe = "sample_shapes_segmentation"
    predictions = ".zip"
    has_classes = True
    has_confusions = True
    example = "--method semantic_fpn --variant xt"
    backbone_module = "backbone.network"
    datasets = {"semantic_fpn": "ade20k", "upernet": "ade20k"}
    samples = {"semantic_fpn": (20_210, 2_000), "upernet": (20_210, 2_000)}
    counted_input = "one image of the given size, without the auxiliary head"

    def default_recipe(self, subject: Subject) -> str:
        """The method's; UperNet's at 640 pixels is that of the networks from ImageNet-21K."""
        if subject.method == "semantic_fpn":
            return "semantic_fpn_80k"
        return "upernet_160k_640" if subject.input_size == (640, 2560) else "upernet_160k"

    def build(self, subject: Subject) -> nn.Module:
        """Builds the segmentor with random weights, for 150 classes unless its options say else."""
        from mogabench.tasks.segmentation.network import build_segmentor

        return build_segmentor(subject)

    def graph(self, network: nn.Module) -> nn.Module:
        """Images to logits ``(N, classes, H/4, W/4)``."""
        from mogabench.tasks.segmentation.network import Logits

        return Logits(network)

    def with_graph(self, network: nn.Module, graph: nn.Module) -> nn.Module:
        """The segmentor, whose head takes images and gives the logits.

        The graph stands for the head's last layer, whose output `OpenMMLabModel` checks.
        """
        from torch import nn

        network.backbone, network.neck = nn.Identity(), nn.Identity()
        head: Any = network.decode_head
        head.conv_seg = graph
        # A module here would be one more child, and the class's method would still be called.
        head.forward = graph.__call__
        return network

    def normalization(self, network: Any, subject: Subject) -> Normalization:
        """That of the network's own preprocessing."""
        from mogabench.openmmlab.model import normalization

        return normalization(network)

    def prepare(self, job: Job[SegmentationRecipe, SegmentationOptions]) -> Setup:
        """Opens the folders, builds the segmentor for their classes and loads its weights."""
        from mmengine.dataset import pseudo_collate

        from mogabench.engine.batches import batches_per_step
        from mogabench.engine.task import Setup, Source
        from mogabench.engine.weights import load_job_weights
        from mogabench.openmmlab.model import OpenMMLabModel
        from mogabench.tasks.segmentation.data import (
            class_ids,
            evaluation_split,
            look_at_masks,
            training_split,
        )
        from mogabench.tasks.segmentation.drawing import DrawMasks
        from mogabench.tasks.segmentation.metric import Overlap
        from mogabench.tasks.segmentation.network import build_segmentor

        recipe, ids = job.recipe, class_ids(job)
        classes = ids.names
        test, train, crop = evaluation_split(job, ids), None, None
        splits = [test]
        if job.train and recipe is not None:
            split, crop = training_split(job, recipe, ids), (recipe.input.crop,) * 2
            splits.insert(0, split)
            train = Source(split.scenes, split.identity, pseudo_collate)
            _check_batch(job.subject, batches_per_step(job)[0])
        notes = look_at_masks(job, splits, ids)
        build = partial(build_segmentor, crop=crop)
        network = build(job.network_subject(len(classes)))
        notes += load_job_weights(self, job, network, classes=classes, build=build)
        return Setup(
            OpenMMLabModel(network),
            Source(test.scenes, test.identity, pseudo_collate, annotated=test.annotated),
            Overlap(classes, ids.valid.start),
            train,
            notes=notes,
            drawing=DrawMasks(test.scenes.metainfo["palette"]),
            eval_batch=1,
            max_eval_batch=1,  # images of different sizes make no batch
            classes=classes,
            class_ids=tuple(ids.valid),
        )

    def predictor(
        self, job: Job[SegmentationRecipe, SegmentationOptions], stated: Description | None
    ) -> Predictor:
        """Builds the segmentor for the classes that its weights state, and loads these."""
        from mogabench.data.classes import read_class_names
        from mogabench.engine.weights import load_job_weights
        from mogabench.openmmlab.model import OpenMMLabModel
        from mogabench.tasks.segmentation.masks import check_count
        from mogabench.tasks.segmentation.network import ADE20K_CLASSES, build_segmentor
        from mogabench.tasks.segmentation.prediction import SegmentationPredictor, class_names

        named = stated.classes if stated is not None else ()
        if job.options.class_map is not None:
            named = read_class_names(job.options.class_map)
        subject = job.network_subject(len(named) or None)
        options: dict[str, Any] = dict(subject.options)
        count = options.get("num_classes", ADE20K_CLASSES)
        check_count(count, job.options.class_map or job.weights)
        network = build_segmentor(subject)
        notes = load_job_weights(self, job, network, classes=named)
        ids = stated.class_ids if stated is not None else ()
        first_id = ids[0] if ids else int(job.options.mask_zero != "class")
        names = class_names(named, count)
        return SegmentationPredictor(job, OpenMMLabModel(network), names, first_id, notes)


def _check_batch(subject: Subject, size: int) -> None:
    from mogabench.openmmlab.configs import has_common_statistics

    if size == 1 and subject.method == "upernet" and not has_common_statistics():
        raise UserError(
            "UperNet normalises single pixels of a whole image over the batch, so it needs two "
            "images or more in a forward pass: --batch-size 2"
        )


TASK = Segmentation()

"""A timm network as mmengine trains and evaluates it, and the accuracy it is judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from mmengine.model import BaseModel
from timm.data import Mixup
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor, nn

from mogabench.classification.images import SKIPPED
from mogabench.engine.metric import JointMetric
from mogabench.errors import UserError
from mogabench.recipes import ClassificationRecipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.engine.job import Job


class Classifier(BaseModel):
    """A network with what its training adds: Mixup and CutMix, a loss, autocast.

    Args:
        network: Maps images ``(N, 3, H, W)`` to logits ``(N, num_classes)``.
        job: Decides precision and layout, and its recipe mixing and loss.
        num_classes: The network's.
    """

    def __init__(self, network: nn.Module, job: Job, num_classes: int) -> None:
        super().__init__()
        self.layout = torch.channels_last if job.channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self.layout)
        self.amp: torch.dtype | None = getattr(torch, job.amp) if job.amp else None
        if isinstance(job.recipe, ClassificationRecipe):
            self.mixup = mixup(job.recipe, num_classes)
            self.loss = training_loss(job.recipe)

    def forward(
        self, inputs: Tensor, labels: Tensor | None = None, mode: str = "tensor", **_: Tensor
    ) -> Tensor | dict[str, Tensor]:
        """The loss in mode ``loss``, else logits ``(N, num_classes)`` in float32.

        Args:
            inputs: Images ``(N, 3, H, W)``.
            labels: Classes ``(N,)``; needed for the loss.
            mode: mmengine's ``loss``, ``predict`` or ``tensor``.
        """
        if mode == "loss" and self.mixup:
            inputs, labels = self.mixup(inputs, labels)
        with torch.autocast(inputs.device.type, self.amp, enabled=self.amp is not None):
            logits = self.network(inputs.to(memory_format=self.layout))
        if mode == "loss":
            return {"loss": self.loss(logits.float(), labels)}
        float_logits: Tensor = logits.float()
        return float_logits


def check_pairs(recipe: ClassificationRecipe, batch_size: int) -> None:
    """Refuses batches that Mixup and CutMix cannot pair up.

    Raises:
        UserError: The batch size is odd.
    """
    if (recipe.augment.mixup or recipe.augment.cutmix) and batch_size % 2:
        raise UserError(
            f"Mixup and CutMix pair images: a batch of {batch_size} is odd; take an even one"
        )


def mixup(recipe: ClassificationRecipe, num_classes: int) -> Mixup | None:
    """timm's Mixup and CutMix, one of them per batch; None where the recipe has neither."""
    augment = recipe.augment
    if not (augment.mixup or augment.cutmix):
        return None
    return Mixup(
        mixup_alpha=augment.mixup,
        cutmix_alpha=augment.cutmix,
        prob=augment.mixup_prob,
        switch_prob=augment.mixup_switch,
        label_smoothing=recipe.loss.label_smoothing,
        num_classes=num_classes,
    )


def training_loss(recipe: ClassificationRecipe) -> nn.Module:
    """timm's loss of the recipe; with mixing, the smoothing is in the mixed labels already."""
    loss: nn.Module
    if recipe.loss.name == "bce":
        loss = BinaryCrossEntropy(
            recipe.loss.label_smoothing, target_threshold=recipe.loss.target_threshold
        )
    elif recipe.augment.mixup or recipe.augment.cutmix:
        loss = SoftTargetCrossEntropy()
    else:
        loss = LabelSmoothingCrossEntropy(recipe.loss.label_smoothing)
    return loss


class TopAccuracy(JointMetric):
    """Top-1 and top-5 accuracy in percent, over every image that could be read.

    Where there are fewer than five classes, top-5 takes as many as there are.
    """

    def process(self, data_batch: dict[str, Tensor], data_samples: Sequence[Tensor]) -> None:
        """Notes for each image of a batch at which place its label was, from 0; 5 if later."""
        labels, logits = data_batch["labels"], torch.stack(list(data_samples)).cpu()
        read = labels != SKIPPED
        best = logits[read].topk(min(5, logits.shape[1])).indices
        hits = best == labels[read, None]
        places = torch.where(hits.any(1), hits.int().argmax(1), 5)
        self.results.extend(places.tolist())

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        """The accuracies in percent, from the places of the labels.

        Raises:
            UserError: No image could be read.
        """
        if not results:
            raise UserError("none of the images to evaluate on can be read")
        top1 = sum(place == 0 for place in results)
        top5 = sum(place < 5 for place in results)
        return {"top1": 100 * top1 / len(results), "top5": 100 * top5 / len(results)}

"""A classifier in training: Mixup and CutMix, and the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.model import BaseDataPreprocessor
from timm.data import Mixup
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor, nn

from mogabench.engine.model import Trained
from mogabench.errors import UserError
from mogabench.tasks.classification.folders import UNKNOWN

if TYPE_CHECKING:
    from mogabench.tasks.classification.recipe import ClassificationRecipe


class LabelsChecked(BaseDataPreprocessor):
    """mmengine's step from the loader to the device, for labels that are classes of the network.

    Others would count as wrong guesses, and end a training in a message of the device's.

    Args:
        num_classes: Of the network.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, data: dict[str, Any], training: bool = False) -> Any:
        """The batch on the device; to predict from, it has no labels.

        Raises:
            UserError: A label is none of the classes.
        """
        label = int(data["labels"].max()) if "labels" in data else UNKNOWN
        if label >= self.num_classes:
            raise UserError(
                f"the data has a label {label}, the network {self.num_classes} classes, from 0 to "
                f"{self.num_classes - 1}: --option num_classes, or a --class-map, must be for all"
            )
        return super().forward(data, training)


class Classifier(Trained):
    """A network with what its training adds.

    Args:
        network: Maps images ``(N, C, H, W)`` to logits ``(N, num_classes)``.
        recipe: Says how images are mixed, and the loss; without one the loss is cross-entropy.
        num_classes: Of the network, of which timm's own alone say it.
    """

    def __init__(
        self, network: nn.Module, recipe: ClassificationRecipe | None, num_classes: int
    ) -> None:
        super().__init__(network, LabelsChecked(num_classes))
        self.num_classes = num_classes
        self.mixup: Mixup | None = None
        self.criterion: nn.Module = nn.CrossEntropyLoss()
        if recipe is not None:
            self.mixup = mixup(recipe, num_classes)
            self.criterion = training_loss(recipe)

    def loss(self, inputs: Tensor, labels: Tensor, **_: Any) -> dict[str, Tensor]:
        """The recipe's loss of images ``(N, C, H, W)`` of classes ``(N,)``."""
        if self.mixup:
            inputs, labels = self.mixup(inputs.clone(), labels)  # it works in place
        return {"loss": self.criterion(self.predict(inputs), labels)}

    def predict(self, inputs: Tensor, **_: Any) -> Tensor:
        """Logits ``(N, num_classes)`` in float32.

        Raises:
            UserError: The network has other outputs.
        """
        outputs = self.run(inputs)
        if not isinstance(outputs, Tensor):
            raise UserError(
                f"the network gives a {type(outputs).__name__} in place of logits: it should give "
                f"a tensor ({len(inputs)}, {self.num_classes}) for these images"
            )
        logits = outputs.float()
        if logits.shape != (len(inputs), self.num_classes):
            raise UserError(
                f"the network gives {tuple(logits.shape)} numbers for {len(inputs)} images of "
                f"{self.num_classes} classes: build it for its option num_classes"
            )
        return logits


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

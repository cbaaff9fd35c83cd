"""A network of mmdet or mmseg as the engine trains and evaluates it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mmengine.dist import get_world_size
from torch import Tensor, nn

from mogabench.data.normalization import Normalization
from mogabench.engine.model import Trained, require_finite
from mogabench.openmmlab.counts import CommonCounts

if TYPE_CHECKING:
    from mmengine.model import BaseModel

    from mogabench.engine.job import Job

_LAST_LAYERS = re.compile(r"(neck|conv_seg|_head(\.\d+)?)$")
"""Modules whose outputs are decoded to boxes, sampled at boxes, or compared with the truth."""


def normalization(network: BaseModel) -> Normalization:
    """That of a network's own preprocessing."""
    mean, std = (
        tuple(float(value) / 255 for value in values.flatten())
        for values in (network.data_preprocessor.mean, network.data_preprocessor.std)
    )
    return Normalization(mean, std)


class OpenMMLabModel(Trained):
    """A network with its own preprocessing and losses.

    Under autocast, neck and heads still give float32, as bfloat16's eight bits would move the
    corners of large boxes by pixels.

    Args:
        network: A detector of mmdet or a segmentor of mmseg.
    """

    def __init__(self, network: BaseModel) -> None:
        super().__init__(network, network.data_preprocessor)
        self.counts: CommonCounts | None = None

    def adapt(self, job: Job[Any, Any]) -> None:
        """Takes precision and layout from the job, and lets the last layers check their outputs.

        In several processes the losses become means over the samples of all.

        What is decoded from numbers that are not finite would be boxes of no score, and a class
        for each pixel.
        """
        super().adapt(job)
        if job.train and get_world_size() > 1:
            self.counts = CommonCounts(self.network)
        for name, module in self.network.named_modules():
            if _LAST_LAYERS.search(name):
                module.register_forward_hook(self._check)
                if self.amp:
                    module.register_forward_hook(_to_float)

    def loss(self, inputs: Tensor, data_samples: list[Any]) -> dict[str, Any]:
        """The network's losses of preprocessed images ``(N, 3, H, W)``."""
        losses: dict[str, Any] = self.run(inputs, data_samples, mode="loss")
        return losses if self.counts is None else self.counts.apply(losses)

    def predict(self, inputs: Tensor, data_samples: list[Any]) -> Any:
        """The network's predictions, which are added to what is known of each image."""
        return self.run(inputs, data_samples, mode="predict")

    def _check(self, module: nn.Module, _inputs: Any, outputs: Any) -> None:
        if not module.training:
            require_finite(outputs, self.amp)


def _to_float(_module: nn.Module, _inputs: Any, outputs: Any) -> Any:
    if isinstance(outputs, Tensor):
        return outputs.float()
    return type(outputs)(_to_float(_module, _inputs, output) for output in outputs)

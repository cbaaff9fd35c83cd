"""A network of mmdet or mmseg as mmengine's Runner trains and evaluates it here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mogabench.errors import UserError

if TYPE_CHECKING:
    from mogabench.engine.job import Job
    from mogabench.subject import Subject

_LAST_LAYERS = re.compile(r"(neck|conv_seg|_head(\.\d+)?)$")
"""Modules whose outputs are decoded to boxes, sampled at boxes, or compared with the truth."""


def subject_for_data(job: Job, classes: int) -> Subject:
    """The job's subject with the data's number of classes and, in training, its drop path.

    Args:
        job: Has the subject and the recipe.
        classes: How many the data has.

    Raises:
        UserError: The subject's options ask for another number of classes.
    """
    options: dict[str, Any] = dict(job.subject.options)
    if options.setdefault("num_classes", classes) != classes:
        raise UserError(
            f"the network is to tell {options['num_classes']} classes apart, but {job.data} has "
            f"{classes}: leave out --option num_classes"
        )
    if job.train and job.recipe and job.recipe.model.drop_path:
        options["drop_path_rate"] = job.recipe.model.drop_path
    return job.subject.model_copy(update={"options": tuple(options.items())})


class OpenMMLabModel(BaseModel):
    """A network with its own preprocessing, in the precision and layout that the job asks for.

    Under autocast, neck and heads still give float32, as bfloat16's eight bits would move the
    corners of large boxes by pixels.

    Args:
        network: A detector of mmdet or a segmentor of mmseg.
        job: Decides precision and layout.
    """

    def __init__(self, network: BaseModel, job: Job) -> None:
        super().__init__(data_preprocessor=network.data_preprocessor)
        self.layout = torch.channels_last if job.channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self.layout)
        self.amp: torch.dtype | None = getattr(torch, job.amp) if job.amp else None
        if self.amp:
            for name, module in network.named_modules():
                if _LAST_LAYERS.search(name):
                    module.register_forward_hook(_to_float)

    def forward(self, inputs: Tensor, data_samples: list[Any], mode: str = "tensor") -> Any:
        """The network's losses in mode ``loss``, its predictions in mode ``predict``.

        Args:
            inputs: Preprocessed images ``(N, 3, H, W)``.
            data_samples: What is known of each image; predictions are added.
            mode: mmengine's ``loss``, ``predict`` or ``tensor``.
        """
        with torch.autocast(inputs.device.type, self.amp, enabled=self.amp is not None):
            return self.network(inputs.to(memory_format=self.layout), data_samples, mode=mode)

    def init_weights(self) -> None:
        """Does nothing: the network has its initial or loaded weights."""


def _to_float(_module: nn.Module, _inputs: Any, outputs: Any) -> Any:
    if isinstance(outputs, Tensor):
        return outputs.float()
    return type(outputs)(_to_float(_module, _inputs, output) for output in outputs)

"""A network as it is trained and evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

if TYPE_CHECKING:
    from mogabench.engine.job import Job


class Trained(BaseModel):
    """A network with autocast, memory layout and compilation.

    A task derives from it and says what the network learns and predicts; the engine calls `adapt`.

    Args:
        network: What is trained, and whose weights are saved in the end.
        preprocessor: mmengine's, which moves batches to the device; None takes the plain one.
    """

    def __init__(self, network: nn.Module, preprocessor: Any = None) -> None:
        super().__init__(preprocessor)
        self.network = network
        self.layout = torch.contiguous_format
        self.amp: torch.dtype | None = None
        self.is_compiled = False

    def adapt(self, job: Job[Any, Any]) -> None:
        """Takes precision and layout from the job, and compiles the network once if it says so."""
        self.amp = getattr(torch, job.amp) if job.amp else None
        self.layout = torch.channels_last if job.channels_last else torch.contiguous_format
        self.network.to(memory_format=self.layout)
        if job.compile and not self.is_compiled:
            # Else the sizes of networks that the process compiled before count as this one's, and
            # make its sizes symbolic.
            torch.compiler.reset()
            self.network.compile()
            self.is_compiled = True

    def run(self, inputs: Tensor, *arguments: Any, **options: Any) -> Any:
        """The network's outputs under autocast, of images ``(N, C, H, W)`` in the layout."""
        if inputs.ndim == 4:
            inputs = inputs.to(memory_format=self.layout)
        with torch.autocast(inputs.device.type, self.amp, enabled=self.amp is not None):
            return self.network(inputs, *arguments, **options)

    def forward(self, *, mode: str = "tensor", **batch: Any) -> Any:
        """The losses by name in mode ``loss``, predictions in mode ``predict``.

        Args:
            mode: mmengine's.
            **batch: What the loader gave, on the device.
        """
        return self.loss(**batch) if mode == "loss" else self.predict(**batch)

    def loss(self, *_: Any, **batch: Any) -> dict[str, Tensor]:
        """What to minimise: values whose names contain ``loss`` are added up."""
        raise NotImplementedError

    def predict(self, *_: Any, **batch: Any) -> Any:
        """What the task's metric and drawing take; a list or tensor over the batch's samples."""
        raise NotImplementedError

    def init_weights(self) -> None:
        """Does nothing: the network has its initial or loaded weights."""

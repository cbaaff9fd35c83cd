"""A network as it is trained and evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mogabench.engine.batches import batches_per_step
from mogabench.engine.compiling import compile_for_training
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mogabench.engine.job import Job

_TOO_FEW_VALUES = "Expected more than 1 value per channel"
"""What PyTorch's batch norms say of a batch that has no variance."""


class Trained(BaseModel):
    """A network with autocast, memory layout and compilation.

    A task derives from it and says what the network learns and predicts; the engine calls `adapt`.

    Args:
        network: What is trained, and whose weights are saved in the end.
        preprocessor: mmengine's, which moves batches to the device; None takes the plain one.

    Attributes:
        uses_cuda_graphs: Whether the compiled network runs in CUDA graphs on a GPU. They were
            measured to pay where a step is many small kernels, and record each input size anew.
    """

    uses_cuda_graphs = False

    def __init__(self, network: nn.Module, preprocessor: Any = None) -> None:
        super().__init__(preprocessor)
        self.network = network
        self.layout = torch.contiguous_format
        self.amp: torch.dtype | None = None
        self.is_compiled = False

    def adapt(self, job: Job[Any, Any]) -> None:
        """Takes precision and layout from the job, and compiles the network once if it says so."""
        self.set_up(
            job.amp,
            channels_last=job.channels_last,
            compiled=job.compile,
            on_gpu=job.device != "cpu",
            accumulates=job.compile and job.train and batches_per_step(job)[1] > 1,
        )

    def set_up(
        self,
        amp: str | None,
        *,
        channels_last: bool,
        compiled: bool,
        on_gpu: bool,
        accumulates: bool = False,
    ) -> None:
        """Sets precision and layout, and compiles the network once if it is to be.

        Args:
            amp: The autocast type; None for float32 throughout.
            channels_last: Whether weights and images are laid out as NHWC.
            compiled: Whether the network goes through ``torch.compile``.
            on_gpu: Whether it runs on a GPU.
            accumulates: Whether a training step adds up the gradients of several batches.
        """
        self.amp = getattr(torch, amp) if amp else None
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network.to(memory_format=self.layout)
        if compiled and not self.is_compiled:
            # Else the sizes of networks that the process compiled before count as this one's, and
            # make its sizes symbolic.
            torch.compiler.reset()
            # A CUDA graph replays a whole pass: else a small network waits for its launches. The
            # gradients lie in the graph's memory, which the next pass overwrites.
            graphs = self.uses_cuda_graphs and on_gpu and not accumulates
            compile_for_training(self.network, mode="reduce-overhead" if graphs else None)
            self.is_compiled = True

    def run(self, inputs: Tensor, *arguments: Any, **options: Any) -> Any:
        """The network's outputs under autocast, of images ``(N, C, H, W)`` in the layout.

        Raises:
            UserError: In evaluation, the outputs are not finite.
        """
        if inputs.ndim == 4:
            inputs = inputs.to(memory_format=self.layout)
        with torch.autocast(inputs.device.type, self.amp, enabled=self.amp is not None):
            outputs = self.network(inputs, *arguments, **options)
        if not self.training:
            require_finite(outputs, self.amp)
        return outputs

    def forward(self, *, mode: str = "tensor", **batch: Any) -> Any:
        """The losses by name in mode ``loss``, predictions in mode ``predict``.

        Args:
            mode: mmengine's.
            **batch: What the loader gave, on the device.

        Raises:
            UserError: A batch norm sees one value for each channel.
        """
        if mode != "loss":
            return self.predict(**batch)
        try:
            return self.loss(**batch)
        except ValueError as error:
            if _TOO_FEW_VALUES not in str(error):
                raise
            raise UserError(
                "a batch norm of this network sees a single value for each channel, which has no "
                "variance: take batches of two or more (--batch-size), or larger images"
            ) from error

    def loss(self, *_: Any, **batch: Any) -> dict[str, Tensor]:
        """What to minimise: values whose names contain ``loss`` are added up."""
        raise NotImplementedError

    def predict(self, *_: Any, **batch: Any) -> Any:
        """What the task's metric and drawing take; a list or tensor over the batch's samples."""
        raise NotImplementedError

    def init_weights(self) -> None:
        """Does nothing: the network has its initial or loaded weights."""


@torch.compiler.disable  # type: ignore[untyped-decorator]
def require_finite(outputs: Any, amp: torch.dtype | None) -> None:
    """Refuses outputs of a network with NaN or infinity, of which metrics make figures.

    Args:
        outputs: Tensors, in lists, tuples and dictionaries; anything else is passed over.
        amp: The autocast type, for the advice.

    Raises:
        UserError: Some number is not finite.
    """
    if is_finite(outputs):
        return
    if amp == torch.float16:
        advice = "float16 ends at 65504: --amp bfloat16, or none, has float32's range"
    else:
        advice = "its weights have diverged, or are not of this network"
    raise UserError(f"the network gives numbers that are not finite: {advice}")


def is_finite(outputs: Any) -> bool:
    """Whether all numbers of tensors, in lists, tuples and dictionaries, are finite."""
    return all(bool(tensor.isfinite().all()) for tensor in _tensors(outputs))


def _tensors(outputs: Any) -> Iterator[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, dict):
        yield from _tensors(list(outputs.values()))
    elif isinstance(outputs, list | tuple):
        for output in outputs:
            yield from _tensors(output)

"""What is timed: a forward pass of a network, or a training step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmengine.optim import OptimWrapper
    from torch import Tensor, nn

    from mogabench.engine.model import Trained
    from mogabench.measure.settings import Settings

    MakeStep = Callable[[int], Callable[[], object]]


def inference_step(
    build: Callable[[], nn.Module],
    inputs: Callable[[int], tuple[Tensor, ...]],
    settings: Settings,
) -> MakeStep:
    """What makes a forward pass in inference mode for a batch size.

    Args:
        build: Makes the network, on the current default device.
        inputs: Makes the inputs for a batch size, likewise.
        settings: How the network runs.
    """

    def make(batch_size: int) -> Callable[[], object]:
        torch.manual_seed(settings.seed)
        with torch.device(settings.device):
            network, batch = build(), inputs(batch_size)
        computed = getattr(torch, settings.dtype)
        # Another runtime takes and gives float32 whatever it computes in; what it leaves to PyTorch
        # is under autocast, as in an evaluation.
        dtype = computed if settings.runtime == "torch" else torch.float32
        network = network.eval().to(settings.device, dtype)
        batch = tuple(
            x.to(settings.device, dtype if x.is_floating_point() else None) for x in batch
        )
        if settings.channels_last:
            layout = torch.channels_last
            network = network.to(memory_format=layout)
            batch = tuple(x.to(memory_format=layout) if x.ndim == 4 else x for x in batch)
        forward = torch.compile(network, dynamic=False) if settings.compile else network
        step: Callable[[], object] = torch.inference_mode()(lambda: forward(*batch))
        return step if computed == dtype else _under_autocast(step, settings.device, computed)

    return make


def _under_autocast(
    step: Callable[[], object], device: str, dtype: torch.dtype
) -> Callable[[], object]:
    def cast() -> object:
        with torch.autocast(device, dtype):
            return step()

    return cast


def training_step(
    example: Callable[[int], tuple[Trained, dict[str, Any]]], settings: Settings
) -> MakeStep:
    """What makes a training step for a batch size: forward, loss, backward and AdamW's update.

    It is the engine's own, of the training that ``mogabench run`` does. The learning rate is 0,
    which saves no operation: each step computes the same, where gradients of a batch that is learnt
    by heart would fall into the denormal numbers, in which a CPU is slow.

    Args:
        example: Makes the model and its batch for a batch size, on the current default device.
        settings: How the network runs; a ``dtype`` other than float32 is that of autocast.
    """

    def make(batch_size: int) -> Callable[[], object]:
        torch.manual_seed(settings.seed)
        with torch.device(settings.device):
            model, batch = example(batch_size)
        model = model.to(settings.device).train()
        model.set_up(
            settings.amp,
            channels_last=settings.channels_last,
            compiled=settings.compile,
            on_gpu=settings.device != "cpu",
        )
        optimizer = _adamw(model.network, settings.amp)
        return lambda: model.train_step(batch, optim_wrapper=optimizer)

    return make


def _adamw(network: nn.Module, amp: str | None) -> OptimWrapper:
    from mmengine.optim import AmpOptimWrapper, OptimWrapper

    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, fused=True)
    if amp == "float16":  # whose small range needs a scaled loss
        return AmpOptimWrapper(dtype=amp, optimizer=optimizer)
    return OptimWrapper(optimizer)

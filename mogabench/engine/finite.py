"""Where the loss stops being a number: the step, and the layer that it began with."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.optim import AmpOptimWrapper, OptimWrapper

from mogabench.engine.model import is_finite
from mogabench.engine.processes import gather
from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn

    from mogabench.engine.model import Trained


class LossNotFiniteError(UserError):
    """The loss of a batch is NaN or infinite, in this process or another.

    Attributes:
        batch: Which of the step's batches, from 0; the same in all processes.
    """

    def __init__(self, batch: int) -> None:
        super().__init__("the loss is not finite: the training has diverged")
        self.batch = batch


class LossCheck:
    """Looks at the losses of a step before its update, without waiting for the backward pass.

    The losses are known once the forward pass is done. Whether they are finite is copied to the
    host behind it, and read after the backward pass is queued: the GPU has that to do while the
    host waits, and the host then queues the update and the next forward pass. Reading the loss
    itself would leave the GPU idle in each step; reading it a step later would find all weights
    spoiled, and no layer to name.
    """

    def __init__(self) -> None:
        self.are_bad: list[Tensor] = []
        self.on_host: Tensor | None = None

    def note(self, loss: Tensor, *, is_last: bool) -> None:
        """Takes the loss of a batch.

        Args:
            loss: A number.
            is_last: Whether the step's update comes next.
        """
        self.are_bad.append(~loss.detach().isfinite())
        if not is_last:
            return
        flags = torch.stack(self.are_bad).to(torch.uint8)
        self.are_bad.clear()
        if get_world_size() > 1:
            all_reduce(flags, "max")
        if flags.is_cuda:
            self.on_host = torch.empty(flags.shape, dtype=flags.dtype, pin_memory=True)
            self.on_host.copy_(flags, non_blocking=True)
            self.copied = torch.cuda.Event()
            self.copied.record()
        else:
            self.on_host = flags

    def require_finite(self) -> None:
        """Ends the step before its update if one of its losses is not finite, in all processes.

        Raises:
            LossNotFiniteError: One is not.
        """
        assert self.on_host is not None, "the losses were noted"
        if hasattr(self, "copied"):
            self.copied.synchronize()
        bad = self.on_host.tolist()
        if any(bad):
            raise LossNotFiniteError(bad.index(1))


class CheckedOptimWrapper(OptimWrapper):
    """mmengine's, which updates no weights by a loss that is not finite."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.check = LossCheck()

    def backward(self, loss: Tensor, **options: Any) -> None:
        """Notes the loss, and computes the gradients."""
        self.check.note(loss, is_last=self.should_sync())
        super().backward(loss, **options)

    def step(self, **options: Any) -> None:
        """Updates the weights."""
        self.check.require_finite()
        super().step(**options)


class CheckedAmpOptimWrapper(CheckedOptimWrapper, AmpOptimWrapper):
    """The same with a scaled loss.

    The scale keeps gradients in float16's range and is lowered when they leave it; a loss that is
    not finite before it is scaled comes from the forward pass, which no scale mends.
    """


def explain(model: Trained, batches: Sequence[Any], error: LossNotFiniteError) -> str:
    """Repeats the forward passes of a step up to the failed one, and says where it went wrong.

    Args:
        model: As it was before the step; random generators likewise.
        batches: The step's.
        error: Says which one failed.

    Returns:
        The same in all processes, whose passes may need each other.
    """
    found: list[str] = []
    with torch.no_grad(), torch.compiler.set_stance("force_eager"), _finding(model.network, found):
        for batch in batches[: error.batch + 1]:
            found.clear()
            given = model.data_preprocessor(batch, True)
            if not is_finite(given):
                found.append("the batch itself")
            # What follows the layer may refuse such numbers, in whatever way.
            with suppress(Exception):
                model(**given, mode="loss")
    for number, places in enumerate(gather(found)):
        if places:
            of = f" in process {number}" if get_world_size() > 1 else ""
            return f"the first that is not finite is {places[0]}{of}"
    return "the outputs of all layers are finite, so it is the loss that overflows"


@contextmanager
def _finding(network: nn.Module, found: list[str]) -> Iterator[None]:
    """Lists the layers whose outputs are not finite, inner ones first, as they are computed."""

    def hook_of(name: str) -> Any:
        def look(layer: nn.Module, _: Any, outputs: Any) -> None:
            if not is_finite(outputs):
                weights = is_finite(list(layer.parameters(recurse=False)))
                spoiled = "" if weights else ", whose weights are not"
                where = f"of {name} ({type(layer).__name__})" if name else "of the network"
                found.append(f"the output {where}{spoiled}")

        return look

    hooks = [
        module.register_forward_hook(hook_of(name)) for name, module in network.named_modules()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()

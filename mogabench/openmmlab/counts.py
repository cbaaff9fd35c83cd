"""mmdet's losses as means over the samples of all processes, not of each one's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch

from mogabench.engine.processes import share_of

if TYPE_CHECKING:
    from torch import Tensor, nn

_LOSS = re.compile(r"(?:(rpn)_head|(?:roi_head\.)?(?:bbox|mask)_head(?:\.(\d+))?)\.loss_(cls|mask)")
"""Where detectors have the losses that count: of anchors or regions, and of regions with masks."""


class CommonCounts:
    """Counts what the means of a detector's losses are over, and scales them.

    The number of anchors or regions with a truth differs from process to process. The mean over
    processes of each one's mean, which parallel training makes, is not the mean over all: an object
    in a crowd would count less than one alone. Counted is by hooks and summed once a step, since a
    process without any object does not call some of the losses.

    Args:
        network: A detector of mmdet; it gets the hooks. Any other network has none of the losses.
    """

    def __init__(self, network: nn.Module) -> None:
        self.losses: dict[str, list[str]] = {}
        self.counts: dict[str, float] = {}
        for path, module in network.named_modules():
            if found := _LOSS.fullmatch(path):
                rpn, stage, kind = found.groups()
                start = (f"s{stage}." if stage else "") + ("loss_rpn_" if rpn else "loss_")
                # A head divides the errors of boxes by the same number as those of classes.
                kinds = ("cls", "bbox") if kind == "cls" else (kind,)
                self.losses[path] = [start + kind for kind in kinds]
                module.register_forward_pre_hook(self._counter(path), with_kwargs=True)

    def apply(self, losses: dict[str, Any]) -> dict[str, Any]:
        """The losses, whose mean over the processes is that over all samples."""
        if not self.losses:
            return losses
        some = next(value for name, value in losses.items() if "loss" in name)
        device = (some[0] if isinstance(some, list) else some).device
        counts = torch.tensor([self.counts.get(path, 0.0) for path in self.losses], device=device)
        self.counts.clear()
        scaled = dict(losses)
        for names, scale in zip(self.losses.values(), counts / share_of(counts), strict=True):
            for name in names:
                scaled[name] = _times(scaled[name], scale)
        return scaled

    def _counter(self, path: str) -> Any:
        @torch.compiler.disable  # type: ignore[untyped-decorator]
        def count(_: nn.Module, given: tuple[Tensor, ...], options: dict[str, Any]) -> None:
            own = options.get("avg_factor")
            self.counts[path] = float(len(given[0]) if own is None else own)

        return count


def _times(loss: Tensor | list[Tensor], scale: Tensor) -> Tensor | list[Tensor]:
    return [part * scale for part in loss] if isinstance(loss, list) else loss * scale

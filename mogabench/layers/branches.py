"""Branches of several resolutions side by side (HRNet, Wang et al., TPAMI 2021).

They are fused as in HRFormer: depth-wise convolutions bring a map to a coarser branch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from mogabench.layers.convolutions import conv_norm

if TYPE_CHECKING:
    from collections.abc import Sequence


class FusedBranches(nn.Module):
    """Each branch goes through its blocks, then gets the sum of all branches, resized.

    Args:
        branches: The blocks of each branch, the finest first.
        dims: Channels of each branch.
        outputs: How many branches come out.
    """

    def __init__(self, branches: Sequence[nn.Module], dims: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_bring(dims, source, target) for source in range(len(dims)))
            for target in range(outputs)
        )
        self.act = nn.ReLU()

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps branches ``(N, C_i, H_i, W_i)`` to the first ``outputs`` of them."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        fused = []
        for target, bringing in enumerate(self.fuse_layers):
            size = maps[target].shape[2:]
            first, *others = (
                _resize(bring(x), size) for bring, x in zip(bringing.children(), maps, strict=True)
            )
            fused.append(self.act(sum(others, first)))
        return fused


def _resize(x: Tensor, size: Sequence[int]) -> Tensor:
    if x.shape[2:] == size:
        return x
    return nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _bring(dims: Sequence[int], source: int, target: int) -> nn.Module:
    """What a branch goes through on the way to another; up-sampling is left to the caller."""
    if source == target:
        return nn.Identity()
    dim = dims[source]
    if source > target:
        return conv_norm(dim, dims[target], 1)
    steps = []
    for step in range(source + 1, target + 1):
        last = step == target
        halve = conv_norm(dim, dim, 3, stride=2, groups=dim)
        widen = conv_norm(dim, dims[target] if last else dim, 1)
        steps.append(nn.Sequential(*halve, *widen, *([] if last else [nn.ReLU()])))
    return nn.Sequential(*steps)


class Transition(nn.ModuleList):
    """One branch more, from the coarsest; those whose width changes go through a convolution.

    Args:
        before: Channels of the branches before.
        after: Channels of the branches after.
    """

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        kept = [
            nn.Identity() if old == new else nn.Sequential(*conv_norm(old, new, 3), nn.ReLU())
            for old, new in zip(before, after, strict=False)
        ]
        added = nn.Sequential(*conv_norm(before[-1], after[-1], 3, stride=2), nn.ReLU())
        super().__init__([*kept, nn.Sequential(added)])

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps branches ``(N, C_i, H_i, W_i)`` to one more, at half the coarsest's size."""
        *kept, added = self
        return [*(layer(x) for layer, x in zip(kept, maps, strict=True)), added(maps[-1])]

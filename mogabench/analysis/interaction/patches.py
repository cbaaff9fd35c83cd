"""An image as a game of its patches (Appendix B.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class PatchGame:
    """Scores the patches that are seen of an image by the log-odds of its class.

    A hidden patch is 0 after normalisation, the mean of the training images.

    Args:
        network: Maps images ``(N, C, H, W)`` to logits ``(N, num_classes)``.
        image: A normalised image ``(C, H, W)``, on the network's device.
        label: Its class.
        grid: Patches to a side; it need not divide the image.
        batch_size: Images per forward pass.
    """

    def __init__(
        self, network: nn.Module, image: Tensor, label: int, *, grid: int, batch_size: int
    ) -> None:
        self.network, self.image, self.label = network, image, label
        self.grid, self.batch_size = grid, batch_size

    @torch.inference_mode()
    def __call__(self, sets: Tensor) -> Tensor:
        """The scores ``(B,)`` of sets of patches ``(B, grid * grid)``, True where one is seen."""
        return torch.cat([self._score(part) for part in torch.split(sets, self.batch_size)])

    def _score(self, sets: Tensor) -> Tensor:
        seen = sets.to(self.image.device, self.image.dtype).view(-1, 1, self.grid, self.grid)
        seen = nn.functional.interpolate(seen, size=self.image.shape[1:], mode="nearest")
        images = (self.image * seen).contiguous(memory_format=torch.channels_last)
        return log_odds(self.network(images).float(), self.label)


def log_odds(logits: Tensor, label: int) -> Tensor:
    """``log p / (1 - p)`` of a class, ``(N,)``, from logits ``(N, num_classes)``."""
    others = logits.clone()
    others[:, label] = -torch.inf
    return logits[:, label] - others.logsumexp(dim=1)


def neighbours(
    grid: int, count: int, radius: int, generator: torch.Generator
) -> Sequence[tuple[int, int]]:
    """Draws different pairs of patches at most ``radius`` rows and columns apart.

    Args:
        grid: Patches to a side.
        count: How many pairs; fewer where there are fewer.
        radius: In patches.
        generator: Draws them.
    """
    rows, columns = torch.arange(grid * grid) // grid, torch.arange(grid * grid) % grid
    near = (rows[:, None] - rows).abs() <= radius
    near &= (columns[:, None] - columns).abs() <= radius
    pairs = near.triu(diagonal=1).nonzero()
    chosen = pairs[torch.randperm(len(pairs), generator=generator)[:count]]
    return [(first, second) for first, second in chosen.tolist()]

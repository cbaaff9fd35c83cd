"""The effective receptive field of a network, and the squares that hold parts of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from mogabench.analysis.features import last_map
from mogabench.errors import UserError
from mogabench.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

THRESHOLDS = (0.2, 0.3, 0.5, 0.99)
"""Parts of the contribution, as RepLKNet's table has them."""

_RESAMPLES = 200


class Squares(NamedTuple):
    """The squares of odd sides around the centre of a map, from one pixel to the whole map.

    Attributes:
        centre: Row and column.
        area: Part of the image that lies within each square, ``(R,)``.
        contribution: Part of the contribution within each, ``(R,)``.
        log_score: Part of RepLKNet's scores ``log10(contribution + 1)`` within each, ``(R,)``.
    """

    centre: tuple[int, int]
    area: Tensor
    contribution: Tensor
    log_score: Tensor


class Field(NamedTuple):
    """The receptive field of a network.

    Attributes:
        contribution: Of each pixel, the mean over the images, ``(H, W)`` in float64.
        squares: Around its centre.
        ratios: Area ratio of the contribution at each threshold, then of the log scores, ``(8,)``.
        error: Their standard errors over images, by bootstrap, ``(8,)``.
        images: How many there were.
    """

    contribution: Tensor
    squares: Squares
    ratios: Tensor
    error: Tensor
    images: int


def measure(
    network: nn.Module, images: Sequence[Tensor], *, batch_size: int, seed: int, quiet: bool = False
) -> Field:
    """Measures the effective receptive field of the last feature map's central position.

    Args:
        network: A timm classifier in evaluation mode.
        images: At least two, each ``(C, H, W)``, on the network's device.
        batch_size: Images per pass.
        seed: Of the bootstrap.
        quiet: Plain lines instead of a progress bar.

    Raises:
        UserError: There are fewer than two images, no pixel contributes, or the network gives no
            feature map.
    """
    if len(images) < 2:
        raise UserError(f"a standard error needs two or more readable images, not {len(images)}")
    maps = []
    batches = range(0, len(images), batch_size)
    with progress("batches", len(batches), quiet=quiet) as step:
        for start in batches:
            batch = torch.stack(list(images[start : start + batch_size]))
            maps.append(contributions(network, batch).double().cpu())
            step(f"of {len(batch)} images")
    each = torch.cat(maps)
    mean = each.mean(dim=0)
    if not (mean.isfinite().all() and mean.sum() > 0):
        raise UserError(f"{type(network).__name__}: no pixel contributes to the last feature map")
    found = squares(mean)
    return Field(mean, found, _ratios(found), _error(each, seed), len(each))


def contributions(network: nn.Module, images: Tensor) -> Tensor:
    """How much each pixel contributes to the centre of the last feature map.

    The positive part of the gradient, summed over the colours, of the sum over channels of the
    central position's positive part. Without that positive part a final layer norm would leave
    nothing: its outputs have a constant sum.

    Args:
        network: A timm classifier in evaluation mode.
        images: ``(N, C, H, W)``.

    Returns:
        ``(N, H, W)``.
    """
    images = images.contiguous(memory_format=torch.channels_last).requires_grad_()
    features = last_map(network, images)
    height, width = features.shape[-2:]
    centre = features[:, :, height // 2, width // 2].relu().sum()
    (gradient,) = torch.autograd.grad(centre, images)
    return gradient.relu().sum(dim=1)


def squares(contribution: Tensor) -> Squares:
    """Parts of area and contribution within growing squares around the map's median pixel.

    The centre of a receptive field is not that of the image: at 224 pixels, the position in the
    middle of 7x7 lies at pixel 96 behind padded 3x3 convolutions and at 112 behind patches. So the
    squares are around the pixel at which rows and columns have half of the contribution before
    them. What reaches over the image's edge counts neither as area nor as contribution.

    Args:
        contribution: ``(H, W)``, not negative.
    """
    row, column = (_median(contribution.sum(dim=dim)) for dim in (1, 0))
    height, width = contribution.shape
    down, across = (torch.arange(height) - row).abs(), (torch.arange(width) - column).abs()
    distance = torch.maximum(down[:, None], across[None]).flatten()
    log_score = (contribution + 1).log10()

    def within(values: Tensor) -> Tensor:
        sums = torch.bincount(distance, values.flatten().double()).cumsum(0)
        return sums / sums[-1]

    parts = (within(values) for values in (torch.ones_like(log_score), contribution, log_score))
    return Squares((row, column), *parts)


def area_ratio(part: Tensor, area: Tensor, threshold: float) -> float:
    """The area of the smallest square that holds a part of the contribution.

    Args:
        part: Of the contribution within each square, growing to 1, ``(R,)``.
        area: Part of the image within each square, ``(R,)``.
        threshold: The part of the contribution.
    """
    return float(area[int((part >= threshold).int().argmax())])


def _ratios(found: Squares) -> Tensor:
    parts = (found.contribution, found.log_score)
    return torch.tensor(
        [area_ratio(part, found.area, threshold) for part in parts for threshold in THRESHOLDS],
        dtype=torch.float64,
    )


def _error(each: Tensor, seed: int) -> Tensor:
    """Standard deviation of the ratios of as many images, drawn with replacement."""
    count = len(each)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(count, (_RESAMPLES, count), generator=generator)
    means = (torch.tensordot(w, each, 1) / count for w in _counts(drawn, count))
    return torch.stack([_ratios(squares(mean)) for mean in means]).std(dim=0)


def _counts(drawn: Tensor, count: int) -> Tensor:
    return torch.stack([torch.bincount(row, minlength=count) for row in drawn]).double()


def _median(marginal: Tensor) -> int:
    before = marginal.cumsum(0)
    return int((before >= before[-1] / 2).int().argmax())

"""Channel energies and saliency maps as records and CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn.functional import adaptive_avg_pool2d

from mogabench.analysis.channels.energy import measure, saliency
from mogabench.analysis.figures import csv_text
from mogabench.records import Kind, Quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mogabench.analysis.channels.energy import Energy
    from mogabench.analysis.classifier import Classifier
    from mogabench.records import Record

_RANKS = 100
"""The most ranks of a layer's channels that figure and CSV show, evenly spread."""

_SHOWN = 6
"""Channels whose saliency is shown, evenly spread over the ranks."""

_CELLS = 28
"""The most cells to a side of a saliency map; the last stage that has as many is shown."""


class Saliency(NamedTuple):
    """Maps of some channels of a layer on one image.

    Attributes:
        layer: Its name.
        ranks: The channels' ranks by energy, from 1.
        maps: One for each, ``(K, H, W)``.
    """

    layer: str
    ranks: list[int]
    maps: Tensor


class Measured(NamedTuple):
    """What was found in a network.

    Attributes:
        label: The network.
        data: What the images are called.
        images: How many there were.
        energies: Of each layer.
        image: The one of the saliency maps, ``(C, H, W)``.
        saliency: Of the layers of the last stage whose maps are fine enough to show shapes.
    """

    label: str
    data: str
    images: int
    energies: list[Energy]
    image: Tensor
    saliency: list[Saliency]


def measured(
    classifier: Classifier, images: Sequence[Tensor], *, batch_size: int, quiet: bool
) -> Measured:
    """Measures energies on all images, and saliency on the first one.

    Args:
        classifier: The network.
        images: At least two, each ``(C, H, W)``.
        batch_size: Images per pass.
        quiet: Plain lines instead of a progress bar.
    """
    energies = measure(classifier.network, images, batch_size=batch_size, quiet=quiet)
    shown = max((one.layer.stage for one in energies if one.side >= _CELLS), default=1)
    return Measured(
        classifier.label,
        classifier.data.name,
        len(images),
        energies,
        images[0].cpu(),
        [
            _saliency(classifier, images[0], energy)
            for energy in energies
            if energy.layer.stage == shown
        ],
    )


def _saliency(classifier: Classifier, image: Tensor, energy: Energy) -> Saliency:
    ranks = _spread(len(energy.energy), _SHOWN)
    maps = saliency(classifier.network, image, energy.layer).float().cpu()
    by_energy = maps[energy.energy.argsort(descending=True)]
    side = min(_CELLS, *maps.shape[1:])
    pooled = adaptive_avg_pool2d(by_energy[[rank - 1 for rank in ranks]], side)
    return Saliency(energy.layer.name, ranks, pooled)


def _spread(count: int, most: int) -> list[int]:
    """Ranks from 1 to the count, evenly spread."""
    return torch.linspace(1, count, min(most, count)).round().int().tolist()


def curve(energy: Energy) -> tuple[list[int], list[float]]:
    """Ranks from 1, and the energy of each relative to the mean over channels."""
    ranks = _spread(len(energy.energy), _RANKS)
    relative = (energy.energy / energy.energy.mean()).sort(descending=True).values
    return ranks, [float(relative[rank - 1]) for rank in ranks]


def channel_record(
    classifier: Classifier, found: Measured, *, batch_size: int, seed: int
) -> Record:
    """The record of a network's channel energies.

    Args:
        classifier: The network and its images.
        found: What was measured.
        batch_size: Images per pass.
        seed: Of the choice of images; of the weights where they are random.
    """
    values = {"images": Quantity(value=found.images, unit="1")}
    for one in found.energies:
        numbers = {"evenness": one.evenness, "standard error": one.error}
        numbers["channels"] = len(one.energy)
        for name, number in numbers.items():
            values[f"{name} of {one.layer.name}"] = Quantity(value=number, unit="1")
    return classifier.record(Kind.CHANNEL_ENERGY, values, batch_size=batch_size, seed=seed)


def energies_csv(found: Sequence[Measured]) -> str:
    """The energies as CSV, a line for each network, layer and rank."""
    return csv_text(
        ("network", "layer", "channels", "rank", "relative_energy"),
        (
            (one.label, energy.layer.name, len(energy.energy), rank, f"{relative:.5g}")
            for one in found
            for energy in one.energies
            for rank, relative in zip(*curve(energy), strict=True)
        ),
    )


def saliency_csv(found: Sequence[Measured]) -> str:
    """The saliency maps as CSV, a line for each row of each map."""
    return csv_text(
        ("network", "layer", "rank", "row", "saliency_by_column"),
        (
            (one.label, layer.layer, rank, row, " ".join(f"{value:.3g}" for value in line))
            for one in found
            for layer in one.saliency
            for rank, square in zip(layer.ranks, layer.maps.tolist(), strict=True)
            for row, line in enumerate(square)
        ),
    )

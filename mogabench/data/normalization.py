"""How pixel values become a network's inputs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Normalization:
    """By channel, what is subtracted from pixel values 0 to 1, and what divides them then."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

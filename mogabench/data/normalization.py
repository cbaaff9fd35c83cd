"""How pixel values become a network's inputs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Normalization:
    """What is subtracted from pixel values 0 to 1, and what they are then divided by, by channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

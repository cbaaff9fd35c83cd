"""How pixel values become a network's inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True)
class Normalization:
    """By channel, what is subtracted from pixel values 0 to 1, and what divides them then."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __str__(self) -> str:
        return " and ".join(
            f"{name} {', '.join(f'{value:g}' for value in values)}"
            for name, values in (("mean", self.mean), ("std", self.std))
        )

    def is_close(self, other: Normalization) -> bool:
        """Whether the other one is the same, but for what float32 rounds."""
        return all(
            len(own) == len(theirs) and all(map(partial(math.isclose, abs_tol=1e-5), own, theirs))
            for own, theirs in ((self.mean, other.mean), (self.std, other.std))
        )

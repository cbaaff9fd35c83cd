"""The interaction strengths of a network on the images that it recognises (Figures 3 and A2)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from mogabench.analysis.interaction.game import interactions, passes, strengths
from mogabench.analysis.interaction.patches import PatchGame, neighbours
from mogabench.errors import UserError
from mogabench.files import write_whole
from mogabench.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import nn

    from mogabench.analysis.classifier import Recognised
    from mogabench.analysis.interaction.game import Pair

ORDERS = (0, 0.05, *(part / 10 for part in range(1, 10)), 0.95, 1)
"""Sizes of the contexts, as parts of all other patches."""


@dataclass(frozen=True)
class Protocol:
    """How interaction strengths are sampled; the defaults are the paper's.

    Attributes:
        grid: Patches to a side.
        images: Recognised images at most.
        pairs: Pairs of patches for an image.
        contexts: Contexts of each pair and order.
        radius: How far apart the patches of a pair may be.
        budget: Forward passes at most: pairs are given up, evenly over the images. None for any.
        seed: Of pairs and contexts, which are the same for every network.

    Raises:
        UserError: The budget is less than two pairs, which a standard error takes.
    """

    grid: int = 14
    images: int = 100
    pairs: int = 50
    contexts: int = 50
    radius: int = 1
    budget: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.budget is not None and self.budget < 2 * self._passes:
            raise UserError(
                f"--budget {self.budget} is less than two times the {self._passes} forward passes "
                "of a pair of patches; a smaller --contexts needs fewer"
            )

    @property
    def players(self) -> int:
        """Patches of an image."""
        return self.grid**2

    @property
    def orders(self) -> list[int]:
        """Patches in the contexts."""
        return sorted({round(part * (self.players - 2)) for part in ORDERS})

    @property
    def affordable(self) -> int | None:
        """Pairs that the budget allows; None for any number."""
        return None if self.budget is None else self.budget // self._passes

    @property
    def _passes(self) -> int:
        return passes(self.players, self.orders, self.contexts)


class Strengths(NamedTuple):
    """The strength of each order, its standard error, and the pairs and images behind them."""

    orders: list[float]
    strength: list[float]
    error: list[float]
    pairs: int
    images: int


def measure(
    network: nn.Module,
    images: Sequence[Recognised],
    protocol: Protocol,
    *,
    identity: dict[str, Any],
    file: Path,
    batch_size: int,
    quiet: bool = False,
) -> Strengths:
    """Measures the interactions of pairs of patches, and goes on where it was stopped.

    Args:
        network: In evaluation mode.
        images: At least two.
        protocol: How they are sampled.
        identity: What makes a measurement the same, such as the weights' digest.
        file: Keeps each pair's interactions as a line of JSON.
        batch_size: Images per forward pass.
        quiet: Plain lines instead of a progress bar.

    Raises:
        UserError: The file is of another measurement.
    """
    wanted = list(_pairs(images, protocol))
    head = {"measurement": {**identity, **asdict(protocol)}}
    done = _read(file, head)
    with file.open("a") as lines, progress("pairs of patches", len(wanted), quiet=quiet) as step:
        if not file.stat().st_size:
            lines.write(json.dumps(head) + "\n")
        for image, pair in wanted:
            key = (image.place, *pair)
            if key not in done:
                game = PatchGame(
                    network, image.image, image.label, grid=protocol.grid, batch_size=batch_size
                )
                found = interactions(
                    game,
                    protocol.players,
                    pair,
                    protocol.orders,
                    contexts=protocol.contexts,
                    generator=_generator(protocol.seed, *key),
                )
                done[key] = found.tolist()
                lines.write(json.dumps({"of": key, "interactions": done[key]}) + "\n")
                lines.flush()
            step(f"image {image.place}")
    return _summarise(wanted, done, protocol)


def _pairs(images: Sequence[Recognised], protocol: Protocol) -> list[tuple[Recognised, Pair]]:
    """Images with their pairs: the first pair of each image, then the second."""
    drawn = [
        neighbours(
            protocol.grid, protocol.pairs, protocol.radius, _generator(protocol.seed, image.place)
        )
        for image in images
    ]
    rounds = [
        (image, pairs[number])
        for number in range(protocol.pairs)
        for image, pairs in zip(images, drawn, strict=True)
        if number < len(pairs)
    ]
    return rounds[: protocol.affordable]


def _generator(*key: int) -> torch.Generator:
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def _read(file: Path, head: dict[str, Any]) -> dict[tuple[int, ...], list[float]]:
    """What is measured already, by image and pair; a torn last line is measured again."""
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    if len(whole) < len(lines):
        write_whole(file, "".join(whole))
    if not whole:
        return {}
    if json.loads(whole[0]) != json.loads(json.dumps(head)):
        raise UserError(f"{file} is of another measurement; give another folder with --work-dir")
    entries = [json.loads(line) for line in whole[1:]]
    return {tuple(entry["of"]): entry["interactions"] for entry in entries}


def _summarise(
    wanted: list[tuple[Recognised, Pair]],
    done: dict[tuple[int, ...], list[float]],
    protocol: Protocol,
) -> Strengths:
    found = torch.tensor([done[image.place, *pair] for image, pair in wanted], dtype=torch.float64)
    places = [image.place for image, _ in wanted]
    strength, error = strengths(found, torch.tensor(places))
    if not strength.isfinite().all():
        raise UserError("no two patches interact at any order: there is nothing to compare")
    return Strengths(
        [order / (protocol.players - 2) for order in protocol.orders],
        strength.tolist(),
        error.tolist(),
        len(wanted),
        len(set(places)),
    )

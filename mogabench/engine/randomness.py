"""Randomness without memory: whatever is random follows from the seed and from where it happens.

No generator's state has to be saved: order and augmentation depend on the seed and on how many
images were drawn before, dropout and Mixup on the seed and on the step. A resumed training
therefore sees exactly what an uninterrupted one would have seen.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.utils.data import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


def seed_everything(*entropy: int) -> None:
    """Seeds Python, NumPy and PyTorch from a few non-negative numbers."""
    words = np.random.SeedSequence(entropy).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    torch.default_generator.manual_seed(int(words[2]))
    # Asking an idle GPU would wake it up, in every worker process.
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(int(words[2]))


class Draw(NamedTuple):
    """One image to load: which one, and how many were drawn before it in the whole training."""

    number: int
    image: int


class TrainingOrder(Sampler[Draw]):
    """Draws a data set in another random order each epoch, from anywhere within the epoch.

    Process ``rank`` of ``world`` draws every ``world``-th image, so a step of all processes takes
    the same images however many they are.

    Args:
        size: Images in the data set, and drawn per epoch.
        seed: Of the order.
        repeats: How often an image follows itself (repeated augmentation); an epoch still has
            ``size`` draws, so it sees a part of the images.
        groups: A number for each image, equal in each step; None for any.
        step: Images of a step, over all processes.
        rank: This process.
        world: Processes.
    """

    def __init__(
        self,
        size: int,
        seed: int,
        *,
        repeats: int = 1,
        groups: Sequence[int] | None = None,
        step: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.size, self.seed, self.repeats = size, seed, repeats
        self.rank, self.world = rank, world
        self.groups, self.step = None if groups is None else np.asarray(groups), step
        self.start(0, 0)

    def start(self, epoch: int, drawn: int) -> None:
        """Makes the next iteration begin after ``drawn`` images of this process in an epoch."""
        self.epoch, self.drawn = epoch, drawn

    def __len__(self) -> int:
        """Draws of this process per epoch."""
        return self.size // self.world

    def __iter__(self) -> Iterator[Draw]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.size)
        order = order.repeat(self.repeats)[: self.size]
        if self.groups is not None:
            order = order[_by_steps(self.groups[order], self.step)]
        for turn in range(self.drawn, len(self)):
            place = turn * self.world + self.rank
            yield Draw(self.epoch * self.size + place, int(order[place]))


def _by_steps(groups: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """The places of draws in an order in which each step is of one group.

    As in mmdet's ``AspectRatioBatchSampler``, a group's draws wait until they fill a step, and what
    fills none ends the epoch, in steps that may be of several groups.

    Args:
        groups: That of each draw.
        step: Draws of a step.
    """
    steps, rest = [], []
    for group in np.unique(groups):
        places = np.flatnonzero(groups == group)
        whole = len(places) // step * step
        steps += list(places[:whole].reshape(-1, step))
        rest.append(places[whole:])
    steps.sort(key=lambda places: places[-1])
    return np.concatenate([*steps, *rest])


class EvaluationOrder(Sampler[Draw]):
    """Every image once, in order, shared among the processes without padding."""

    def __init__(self, size: int, *, rank: int, world: int) -> None:
        self.places = range(rank, size, world)

    def __len__(self) -> int:
        """Images of this process."""
        return len(self.places)

    def __iter__(self) -> Iterator[Draw]:
        return (Draw(place, place) for place in self.places)

"""Multi-order interaction between two players of a game (Appendix B.1, Eq. 11 and 12).

The players are the patches of an image. With ``f(S)`` the score when only those of the set ``S``
are seen, the interaction of order ``m`` is the mean, over the contexts ``S`` of ``m`` other
players, of

    D(i, j, S) = f(S + i + j) - f(S + i) - f(S + j) + f(S)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]
"""The scores ``(B,)`` of sets of players ``(B, n)``, True for those that take part."""

Pair = tuple[int, int]


def interactions(
    score: Score,
    players: int,
    pair: Pair,
    orders: list[int],
    *,
    contexts: int,
    generator: torch.Generator,
) -> Tensor:
    """The interactions of a pair (Eq. 11), by order.

    Args:
        score: The game.
        players: ``n``.
        pair: Two different players.
        orders: Each ``m`` from 0 to ``n - 2``.
        contexts: How many contexts of an order are drawn; where there are no more than that, all
            of them are taken and the interaction is exact.
        generator: Draws the contexts.

    Returns:
        ``(len(orders),)``, in float64.
    """
    drawn = [_contexts(players, pair, order, contexts, generator) for order in orders]
    scores = score(torch.cat([_with_and_without(sets, pair) for sets in drawn])).double().cpu()
    counts = [4 * len(sets) for sets in drawn]
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    return torch.stack(
        [(part.view(4, -1).mean(dim=1) * signs).sum() for part in torch.split(scores, counts)]
    )


def passes(players: int, orders: list[int], contexts: int) -> int:
    """Scores that the interactions of one pair take."""
    return sum(4 * min(math.comb(players - 2, order), contexts) for order in orders)


def _contexts(
    players: int, pair: Pair, order: int, wanted: int, generator: torch.Generator
) -> Tensor:
    """Sets ``(K, n)`` of ``order`` players without the pair: all, or as many as wanted."""
    others = torch.tensor([player for player in range(players) if player not in pair])
    if math.comb(len(others), order) <= wanted:
        chosen = torch.tensor(list(combinations(range(len(others)), order)), dtype=torch.int64)
    else:
        chosen = torch.rand(wanted, len(others), generator=generator).argsort(dim=1)[:, :order]
    sets = torch.zeros(len(chosen), players, dtype=torch.bool)
    return sets.scatter_(1, others[chosen], True)


def _with_and_without(sets: Tensor, pair: Pair) -> Tensor:
    """The sets with both of the pair, the first, the second and none: ``(4 K, n)``."""
    variants = sets.repeat(4, 1, 1)
    for variant, (first, second) in enumerate(((True, True), (True, False), (False, True))):
        variants[variant, :, pair[0]], variants[variant, :, pair[1]] = first, second
    return variants.flatten(0, 1)


def strengths(found: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """The strength of each order (Eq. 12), and its standard error.

    The strength is the mean of ``|I|`` over images and pairs, over its mean over the orders. A
    mean of few contexts is farther from 0 than the interaction, so few contexts flatten the curve;
    the standard error does not include that.

    Args:
        found: Interactions ``(pairs, orders)`` of pairs of any images.
        images: The image of each pair, ``(pairs,)``. Pairs of one image are not independent: the
            error is the jackknife's over images, and NaN where there is one.

    Returns:
        Two tensors ``(orders,)``.
    """
    magnitudes, known = found.abs(), set(images.tolist())
    strength = _relative(magnitudes)
    if len(known) < 2:
        return strength, torch.full_like(strength, math.nan)
    without = torch.stack([_relative(magnitudes[images != image]) for image in known])
    spread = (without - without.mean(dim=0)).square().sum(dim=0)
    return strength, (spread * (len(known) - 1) / len(known)).sqrt()


def _relative(magnitudes: Tensor) -> Tensor:
    means = magnitudes.mean(dim=0)
    return means / means.mean()

"""The interactions of games whose interactions are known."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from mogabench.analysis.interaction.game import interactions, passes, strengths

N = 8
EXACT = 70  # no order of eight players has more contexts of six


def of(score, pair=(2, 5), orders=range(N - 1), contexts=EXACT) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return interactions(score, N, pair, list(orders), contexts=contexts, generator=generator)


def test_additive_game_has_none() -> None:
    weights = torch.randn(N, dtype=torch.float64)
    assert of(lambda sets: sets.double() @ weights).abs().max() < 1e-12


def test_product_of_two_players() -> None:
    def score(sets: Tensor) -> Tensor:
        return 3.0 * (sets[:, 2] & sets[:, 5])

    assert torch.allclose(of(score), torch.full((N - 1,), 3.0, dtype=torch.float64))
    assert of(score, pair=(2, 4)).abs().max() == 0


def test_game_of_the_number_of_players() -> None:
    # C(s+2, 3) - 2 C(s+1, 3) + C(s, 3) = s
    binomials = torch.tensor([math.comb(size, 3) for size in range(N + 1)], dtype=torch.float64)
    found = of(lambda sets: binomials[sets.sum(dim=1)])
    assert torch.allclose(found, torch.arange(N - 1.0, dtype=torch.float64))


def test_exact_orders_equal_enumeration() -> None:
    values = torch.randn(2**N, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    powers = 2 ** torch.arange(N)

    def value(*players: int) -> float:
        return float(values[sum(2**player for player in players)])

    found = of(lambda sets: values[sets.long() @ powers])
    others = [player for player in range(N) if player not in (2, 5)]
    for order in range(N - 1):
        expected = [
            value(*s, 2, 5) - value(*s, 2) - value(*s, 5) + value(*s)
            for s in itertools.combinations(others, order)
        ]
        assert found[order] == pytest.approx(sum(expected) / len(expected), abs=1e-12)


def test_mean_over_orders_is_the_shapley_interaction_index() -> None:
    shapiq = pytest.importorskip("shapiq", reason="needs pip install shapiq")
    values = torch.randn(2**N, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    powers = 2 ** torch.arange(N)

    def game(sets):
        return (values[torch.as_tensor(sets).long() @ powers] - values[0]).numpy()

    index = shapiq.ExactComputer(game=game, n_players=N)("SII", order=2)
    found = of(lambda sets: values[sets.long() @ powers]).mean()
    assert float(found) == pytest.approx(float(index[(2, 5)]), abs=1e-9)


def test_drawn_contexts_have_their_order_and_come_near() -> None:
    sizes = set()

    def score(sets: Tensor) -> Tensor:
        sizes.update(sets.sum(dim=1).tolist())
        return (sets.sum(dim=1) ** 3).double()

    # (s+2)^3 - 2 (s+1)^3 + s^3 = 6 s + 6, whatever the context of s players.
    assert of(score, orders=[3], contexts=5).tolist() == [24]
    assert sizes == {3, 4, 5}
    weights = torch.randn(N, N, dtype=torch.float64)
    weights = weights + weights.T

    def quadratic(sets: Tensor) -> Tensor:
        return torch.einsum("bi,ij,bj->b", sets.double(), weights, sets.double())

    assert of(quadratic, orders=[3], contexts=4).item() == pytest.approx(2 * weights[2, 5].item())


def test_passes() -> None:
    asked = []
    of(lambda sets: asked.append(len(sets)) or torch.zeros(len(sets)), contexts=12)
    assert sum(asked) == passes(N, list(range(N - 1)), 12) == 4 * (1 + 6 + 12 + 12 + 12 + 6 + 1)


def test_strengths_and_their_error() -> None:
    found = torch.tensor([[1.0, -3.0], [-3.0, 1.0], [2.0, 6.0]], dtype=torch.float64)
    images = torch.tensor([0, 0, 1])
    strength, error = strengths(found, images)
    # Means of |I|: 2 and 10/3, whose mean is 8/3.
    assert strength.tolist() == pytest.approx([0.75, 1.25])
    # Without image 0: 2 and 6 over 4; without image 1: 2 and 2 over 2.
    assert error.tolist() == pytest.approx([math.sqrt(0.5 * 2 * 0.25**2)] * 2)
    assert strengths(found[:2], images[:2])[1].isnan().all()

"""The interval of a median, against the tables of the sign test."""

import pytest

from mogabench.measure.confidence import median_interval


@pytest.mark.parametrize(("samples", "rank"), [(6, 1), (10, 2), (20, 6), (50, 18), (100, 40)])
def test_interval_lies_between_the_ranks_of_the_sign_test(samples, rank):
    # Conover, Practical Nonparametric Statistics: 97, 98, 96, 97 and 96 % of confidence.
    shuffled = sorted(range(1, samples + 1), key=lambda i: i * 7 % 11)
    assert median_interval(shuffled) == (rank, samples + 1 - rank)


def test_five_samples_say_nothing_of_a_median():
    assert median_interval([1.0] * 5) is None  # 2 / 2**5 is 6 %

"""How well a median is known, from the order of its samples alone, whatever their distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy.stats import binom  # here, as an import during a measurement would be in its figures

from mogabench.measure.trust import FEWEST_FOR_AN_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Sequence


def median_interval(samples: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % confidence interval of the median, as two of the samples; None for fewer than six.

    The number of samples below the true median is binomial, so that the median lies between the
    r-th smallest and the r-th largest sample with at least that confidence, for the largest r that
    has it.
    """
    if len(samples) < FEWEST_FOR_AN_INTERVAL:
        return None
    ordered = sorted(samples)
    rank = int(binom.ppf(0.025, len(ordered), 0.5))
    return ordered[rank - 1], ordered[-rank]

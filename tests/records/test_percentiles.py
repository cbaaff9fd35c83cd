"""Percentiles of few iterations, which records of any age may have, are not read."""

import pytest
from scipy.stats import binom

from mogabench.records import FEWEST_ITERATIONS, Kind, Provenance, Quantity, Record
from mogabench.subject import Subject

NAMES = {"throughput", "latency_p50", "latency_p90", "latency_p99", "spread", "iterations"}


def record_of(iterations):
    return Record(
        subject=Subject(task="t", method="m", backbone="b", input_size=(8, 8)),
        kind=Kind.THROUGHPUT,
        values={name: Quantity(value=iterations, unit="1") for name in NAMES},
        provenance=Provenance(command="test", device="cpu"),
    )


@pytest.mark.parametrize(
    ("iterations", "missing"),
    [
        (63, {"latency_p90", "latency_p99", "spread"}),
        (64, {"latency_p99"}),
        (661, {"latency_p99"}),
        (662, set()),
    ],
)
def test_percentiles_of_too_few_iterations_are_not_read(iterations, missing):
    record = Record.model_validate_json(record_of(iterations).line())
    assert set(record.values) == NAMES - missing


def test_fewest_iterations_bound_the_percentile_with_99_per_cent_confidence():
    for name, beyond in (("latency_p90", 0.1), ("latency_p99", 0.01)):
        fewest = FEWEST_ITERATIONS[name]
        # At most one iteration is slower than the percentile: the second longest is not.
        assert binom.cdf(1, fewest, beyond) < 0.01 < binom.cdf(1, fewest - 1, beyond)

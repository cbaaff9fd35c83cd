"""What a record is marked for."""

import pytest

from mogabench.measure.trust import disturbances, is_rough, state, warning_lines
from mogabench.records import Kind, Quantity, Record, provenance
from mogabench.subject import Subject


@pytest.mark.parametrize(
    ("lacked_core", "rate_change", "words"),
    [
        (0.3, -2.0, []),
        (31.0, 0.0, ["busy"]),
        (0.3, -18.0, ["throttled"]),
        (0.3, 10.5, ["throttled"]),  # it was throttled before, or another process left
        (4.9, 9.9, []),
        (5.1, -9.9, ["busy"]),
        (31.0, -18.0, ["busy", "throttled"]),
        (None, -18.0, ["throttled"]),  # a GPU
        (31.0, None, ["busy"]),  # a record of an earlier version
    ],
)
def test_busy_and_throttled_machines(lacked_core, rate_change, words):
    values = {"lacked_core": lacked_core, "rate_change": rate_change}
    known = {name: value for name, value in values.items() if value is not None}
    assert list(disturbances(known)) == words


def test_a_throttled_machine_is_reported_in_one_line():
    values = {"throughput": 5.0, "iterations": 100.0, "median_error": 0.5}
    values |= {"lacked_core": 0.2, "rate_change": -18.0}
    record = Record(
        subject=Subject(task="t", method="m", backbone="b", input_size=(8, 8)),
        kind=Kind.THROUGHPUT,
        values={name: Quantity(value=value, unit="%") for name, value in values.items()},
        provenance=provenance(device="CPU", busy=True, load=1.5),
    )
    assert state(record) == "throttled"
    [line] = warning_lines(record)
    assert line.startswith("the machine was throttled") and "(load before: 1.5)" in line
    assert "18 % lower after the timing than before" in line


@pytest.mark.parametrize(
    ("values", "line", "rough"),
    [
        ({"iterations": 5.0}, "the median of 5 passes may be off by any amount", True),
        ({"iterations": 6.0}, None, False),
        # Of records that others made
        ({}, "the median of an unknown number of passes may be off by any amount", True),
        ({"median_error": 0.9}, None, False),
        (
            {"iterations": 8.0, "median_error": 1.1},
            "the median has not converged: it is known to ± 1.1 % after 8 passes",
            False,
        ),
        (
            {"iterations": 8.0, "median_error": 5.1},
            "the median has not converged: it is known to ± 5.1 % after 8 passes",
            True,
        ),
    ],
)
def test_how_well_a_median_is_known(values, line, rough):
    values = {"throughput": 5.0} | values
    record = Record(
        subject=Subject(task="t", method="m", backbone="b", input_size=(8, 8)),
        kind=Kind.THROUGHPUT,
        values={name: Quantity(value=value, unit="1") for name, value in values.items()},
        provenance=provenance(device="CPU"),
    )
    assert warning_lines(record) == [line] * (line is not None)
    assert is_rough(record) == rough

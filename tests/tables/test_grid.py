import pytest

from mogabench.tables.grid import figure


@pytest.mark.parametrize(
    ("value", "printed", "shown"),
    [
        (25.55, "25.6M", "25.55M"),
        (37.94, "38", "37.9"),
        (4.972, "5", "4.97"),
        (0.01723, "", "0.0172"),
        (0.13, "", "0.130"),
        (0.92, "1", "0.92"),
        (16.24, "", "16.2"),
        (None, "5", "—"),
    ],
)
def test_digits_of_a_measured_figure(value, printed, shown):
    assert figure(value, printed) == shown

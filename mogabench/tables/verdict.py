"""How a measured number stands to a printed one, and whether an erratum accounts for it."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from mogabench.paper import decimals, printed_value, read_number

if TYPE_CHECKING:
    from mogabench.paper import Derivation

TOLERANCE = {"params": 0.005, "operations": 0.01}
"""How far a measured cost may be from the printed one, relative to it."""


class Status(StrEnum):
    """How a cell stands: a cost by the first four, a quality by the next four or a known reason."""

    ROUNDS = "rounds"
    WITHIN_TOLERANCE = "within_tolerance"
    KNOWN_REASON = "known_reason"
    UNEXPLAINED = "unexplained"
    REPRODUCED = "reproduced"
    WITHIN_NOISE = "within_noise"
    BELOW = "below"
    ABOVE = "above"
    OTHER_DEVICE = "other_device"
    NOT_MEASURED = "not_measured"


DIFFERS = (Status.UNEXPLAINED, Status.BELOW, Status.ABOVE)
"""How a figure stands that is marked, as it is not the printed one and nothing accounts for it."""

STATUS_TEXTS = {
    Status.ROUNDS: "round to the printed digits",
    Status.WITHIN_TOLERANCE: "within tolerance (≈)",
    Status.KNOWN_REASON: "differ for a proven reason",
    Status.UNEXPLAINED: "unexplained (!)",
    Status.REPRODUCED: "reproduced",
    Status.WITHIN_NOISE: "within noise (≈)",
    Status.BELOW: "below the printed quality (!)",
    Status.ABOVE: "above the printed quality (!)",
    Status.OTHER_DEVICE: "on another device",
    Status.NOT_MEASURED: "not measured",
}
"""Each status as a summary says it, behind a number of cells."""


def rounds_to(printed: str, measured: float) -> bool:
    """Whether a number rounds to the printed digits, a half away from zero."""
    return _round(Decimal(repr(measured)), decimals(printed)) == _number(printed)


def is_close(printed: str, measured: float, metric: str) -> bool:
    """Whether a cost is within 0.5 % (parameters) or 1 % (operations) of the printed number."""
    paper = printed_value(printed)
    assert paper is not None
    return abs(measured - paper) <= TOLERANCE.get(metric, 0) * abs(paper)


def agrees(printed: str, measured: float, metric: str, *, tolerant: bool = True) -> bool:
    """Whether a number rounds to the printed digits or, if that is enough, is close to it."""
    return rounds_to(printed, measured) or (tolerant and is_close(printed, measured, metric))


def gives(
    derivation: Derivation, derived: float, printed: str, metric: str, *, tolerant: bool = True
) -> bool:
    """Whether a derivation comes to the printed figure, or to what was meant by it.

    One that says how the digits were made must come to them; another may be off by the tolerance.

    Args:
        derivation: How the digits were made.
        derived: The sum of its measurements, in the unit of the print.
        printed: The printed figure.
        metric: ``params`` or ``operations``.
        tolerant: Whether being close is enough, where nothing is said of how the digits were made.
    """
    wanted, value = derivation.meant or printed, Decimal(repr(derived))
    if not derivation.rounded_to and derivation.rounding == "nearest":
        return agrees(wanted, derived, metric, tolerant=tolerant)
    for digits in derivation.rounded_to:
        value = _round(value, digits)
    return _round(value, decimals(wanted), _MODES[derivation.rounding]) == _number(wanted)


def judge_quality(
    printed: str, measured: float, noise: float | None, *, lower_is_better: bool = False
) -> Status:
    """How a measured quality stands to the printed one.

    Args:
        printed: The printed figure.
        measured: The measured one, in its unit.
        noise: The metric's standard deviation between runs, in that unit; None where nothing is
            known of it.
        lower_is_better: Whether the figure is an error, of which less is a higher quality.
    """
    if rounds_to(printed, measured):
        return Status.REPRODUCED
    difference = measured - float(_number(printed))
    if noise is not None and abs(difference) <= noise:
        return Status.WITHIN_NOISE
    return Status.ABOVE if (difference > 0) != lower_is_better else Status.BELOW


_MODES = {"nearest": ROUND_HALF_UP, "down": ROUND_DOWN, "up": ROUND_UP}


def _number(printed: str) -> Decimal:
    """The printed number without its unit, which is the measured one's."""
    number = read_number(printed)
    assert number is not None  # as of every cell with a figure
    return Decimal(number.digits)


def _round(value: Decimal, digits: int, mode: str = ROUND_HALF_UP) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-digits), rounding=mode)

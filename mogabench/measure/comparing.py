"""Which of some networks is faster, measured in turns so that a change of the machine hits all."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Literal

from mogabench.errors import UserError
from mogabench.measure.confidence import median_interval
from mogabench.measure.trust import FEWEST_FOR_AN_INTERVAL, MOST_LACKED_CORE, busy
from mogabench.measure.worker import Contestant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mogabench.measure.settings import Round, Settings
    from mogabench.measure.worker import Request

_LOG = logging.getLogger(__name__)

_SAME = 0.01
"""Two networks whose speeds differ by no more are called equally fast."""

_PRECISE = 0.005
"""Half the interval of a ratio that is known well enough to call two networks the same."""


@dataclass(frozen=True)
class Comparison:
    """How fast a network is beside the first one.

    Attributes:
        network: The network and its set-up.
        baseline: Those of the first one.
        ratio: Its images per second over those of the first one: the median over the rounds.
        low: The lower end of the ratio's 95 % confidence interval.
        high: The upper end.
        rounds: How often each had its turn.
    """

    network: str
    baseline: str
    ratio: float
    low: float
    high: float
    rounds: int

    @property
    def verdict(self) -> Literal["faster", "slower", "same", "undecided"]:
        """What the interval allows to say of the network."""
        if self.low >= 1 - _SAME and self.high <= 1 + _SAME:
            return "same"
        if self.low > 1:
            return "faster"
        return "slower" if self.high < 1 else "undecided"


def compare(requests: Sequence[Request]) -> list[Comparison]:
    """Measures networks in turns, and compares each with the first.

    All are in memory at once, each in a process of its own. They take turns of half a second, in
    the reversed order every other round, until the ratios are known to 0.5 %, or for the longest
    time of the settings, which is each network's.

    Args:
        requests: The networks; the settings of the first one hold for the comparison.

    Raises:
        UserError: The networks fit into memory at different batch sizes.
        MeasurementError: A network's process failed.
    """
    settings = requests[0].settings
    rounds: list[tuple[Round, ...]] = []
    with ExitStack() as stack:
        contestants = [stack.enter_context(Contestant(request)) for request in requests]
        _check_batch_sizes(requests, [contestant.get_ready() for contestant in contestants])
        most = settings.max_seconds * len(requests)
        _LOG.info("measuring %d networks in turns, for %.0f s at most", len(requests), most)
        began = time.perf_counter()
        while not _is_enough(rounds, settings, (time.perf_counter() - began) / len(requests)):
            order = contestants if len(rounds) % 2 == 0 else contestants[::-1]
            found = {contestant: contestant.take_turn() for contestant in order}
            rounds.append(tuple(found[contestant] for contestant in contestants))
    _warn_if_busy(rounds)
    return [_compare(requests, rounds, index) for index in range(1, len(requests))]


def _check_batch_sizes(requests: Sequence[Request], found: Sequence[Round]) -> None:
    sizes = [item.batch_size for item in found]
    if len(set(sizes)) > 1:
        each = ", ".join(f"{x.name} at {size}" for x, size in zip(requests, sizes, strict=True))
        raise UserError(f"the batch sizes that fit differ: {each}; give --batch-size {min(sizes)}")


def _is_enough(rounds: Sequence[tuple[Round, ...]], settings: Settings, seconds: float) -> bool:
    """Whether the ratios are known, or the time is up; ``seconds`` are those of one network."""
    if len(rounds) < FEWEST_FOR_AN_INTERVAL or seconds < settings.min_seconds:
        return False
    passes = min(sum(turn.passes for turn in turns) for turns in zip(*rounds, strict=True))
    if passes < settings.min_iterations:
        return False
    return seconds >= settings.max_seconds or all(
        high - low <= 2 * _PRECISE * low
        for low, high in (_interval(rounds, index) for index in range(1, len(rounds[0])))
    )


def _ratios(rounds: Sequence[tuple[Round, ...]], index: int) -> list[float]:
    """A network's speed over that of the first one, round by round; the batch size is the same."""
    return [turns[0].latency / turns[index].latency for turns in rounds]


def _interval(rounds: Sequence[tuple[Round, ...]], index: int) -> tuple[float, float]:
    interval = median_interval(_ratios(rounds, index))
    assert interval is not None, "there are enough rounds"
    return interval


def _compare(
    requests: Sequence[Request], rounds: Sequence[tuple[Round, ...]], index: int
) -> Comparison:
    low, high = _interval(rounds, index)
    return Comparison(
        network=requests[index].name,
        baseline=requests[0].name,
        ratio=median(_ratios(rounds, index)),
        low=low,
        high=high,
        rounds=len(rounds),
    )


def _warn_if_busy(rounds: Sequence[tuple[Round, ...]]) -> None:
    lacks = (fmean(turn.lacked_core or 0 for turn in turns) for turns in zip(*rounds, strict=True))
    worst = max(lacks)
    if worst > MOST_LACKED_CORE:
        _LOG.warning("mogabench: %s", busy(worst))

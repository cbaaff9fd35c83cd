"""The comparison of networks that take turns on a made-up machine."""

import pytest

from mogabench.errors import UserError
from mogabench.measure import comparing
from mogabench.measure.comparing import Comparison, compare
from mogabench.measure.settings import Round, Settings
from mogabench.measure.worker import Request
from mogabench.subject import Subject


class Machine:
    """Each turn takes 1 % longer than the one before; a network is known by its name."""

    def __init__(self):
        self.turns = []
        self.open = 0
        self.batch_sizes = {}
        self.lacked_core = 0.0
        self.drift = 1.01

    def contestant(self, request):
        return Contestant(self, request.subject.backbone)


class Contestant:
    latencies = {"slow": 20.0, "quick": 10.0, "settling": 10.0}

    def __init__(self, machine, name):
        self.machine, self.name = machine, name

    def __enter__(self):
        self.machine.open += 1
        return self

    def __exit__(self, *_):
        self.machine.open -= 1

    def get_ready(self):
        return self.take_turn(counted=False)

    def take_turn(self, counted=True):
        machine = self.machine
        own_turns = machine.turns.count(self.name)
        if counted:
            machine.turns.append(self.name)
        latency = self.latencies[self.name] * machine.drift ** len(machine.turns)
        if self.name == "settling" and own_turns < 10:
            latency *= 0.5 if own_turns % 2 else 2
        return Round(latency, 10, machine.batch_sizes.get(self.name, 8), machine.lacked_core)


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    monkeypatch.setattr(comparing, "Contestant", machine.contestant)
    return machine


def requests(*names, **settings):
    return [
        Request(
            subject=Subject(task="t", method="m", backbone=name, input_size=(8, 8)),
            settings=Settings(
                **{"min_iterations": 1, "min_seconds": 0, "max_seconds": 0} | settings
            ),
        )
        for name in names
    ]


def test_networks_alternate_so_that_a_drift_hits_both(machine):
    [found] = compare(requests("slow", "quick"))
    # Six rounds are the fewest that have an interval, and all of them are inside.
    assert machine.turns == ["slow", "quick", "quick", "slow"] * 3
    assert found.rounds == 6
    # Twice as fast, and a step of the drift in favour of either in turns.
    assert found.ratio == pytest.approx(2, rel=1e-3)
    assert (found.low, found.high) == pytest.approx((2 / 1.01, 2 * 1.01))
    assert found.verdict == "faster"
    assert machine.open == 0


def test_every_network_is_compared_with_the_first(machine):
    slow, settling = compare(requests("quick", "slow", "settling"))
    assert slow.network == "slow float32 eager" and slow.baseline == "quick float32 eager"
    assert (slow.verdict, settling.verdict) == ("slower", "undecided")
    assert machine.turns[:6] == ["quick", "slow", "settling", "settling", "slow", "quick"]


def test_goes_on_until_the_passes_and_the_precision_suffice(machine):
    machine.drift = 1.0
    [found] = compare(requests("slow", "quick", min_iterations=95, max_seconds=60))
    assert found.rounds == 10  # of ten passes each
    assert found.low == found.high == 2
    [found] = compare(requests("quick", "settling", max_seconds=60))
    # Of 20 rounds the interval leaves out the five fastest and the five slowest, and not before.
    assert (found.rounds, found.verdict) == (20, "same")


def test_a_busy_machine_is_reported_in_one_line(machine, caplog):
    machine.lacked_core = 31.0
    compare(requests("slow", "quick"))
    [line] = [line for line in caplog.messages if "busy" in line]
    assert "a thread lacked a core for 31 % of the time" in line


def test_batch_sizes_that_differ_are_refused(machine):
    machine.batch_sizes["quick"] = 4
    line = "slow float32 eager at 8, quick float32 eager at 4; give --batch-size 4"
    with pytest.raises(UserError, match=line):
        compare(requests("slow", "quick"))
    assert (machine.turns, machine.open) == ([], 0)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.99, 1.01, "same"),
        (1.002, 1.006, "same"),
        (1.002, 1.02, "faster"),
        (0.98, 0.999, "slower"),
        (0.98, 1.005, "undecided"),
        (0.995, 1.02, "undecided"),
    ],
)
def test_verdict_is_what_the_interval_allows(low, high, verdict):
    assert Comparison("b", "a", (low + high) / 2, low, high, 6).verdict == verdict

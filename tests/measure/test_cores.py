"""How long a process lacked a core, from made-up clocks, and from real ones while it sleeps."""

import time

import pytest

from mogabench.measure.cores import CoreTimes, lacked_core, read_core_times


@pytest.mark.parametrize(
    ("cpu", "waited", "lacked"),
    [
        (10.0, {}, 0),  # one thread that always ran
        (7.0, {}, 30),  # a system that does not tell the waiting
        (7.0, {"1": 3.0}, 30),  # the same waiting, not counted twice
        (9.0, {"1": 0.0}, 10),  # a hypervisor that took the core away
        (40.0, {"1": 0.0, "2": 0.1, "3": 0.1, "4": 0.1}, 1),  # four threads on four cores
        (20.0, {"1": 5.0, "2": 5.0, "3": 5.0, "4": 5.0}, 50),  # … on two
        (37.0, {"1": 0.0, "2": 0.0, "3": 0.0, "4": 3.0}, 30),  # one slow thread stops all four
    ],
)
def test_lacked_core_is_what_a_thread_waited_or_the_process_did_not_get(cpu, waited, lacked):
    before = CoreTimes(wall=100.0, cpu=50.0, waited={"1": 2.0})
    later = {thread: seconds + before.waited.get(thread, 0) for thread, seconds in waited.items()}
    after = CoreTimes(wall=110.0, cpu=50.0 + cpu, waited=later)
    assert lacked_core(before, after) == pytest.approx(lacked)


def test_a_process_that_sleeps_got_no_cpu_time():
    before = read_core_times()
    time.sleep(0.05)
    assert lacked_core(before, read_core_times()) > 50

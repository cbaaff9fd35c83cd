"""Ctrl-C where Python would forget it."""

import os
import signal

import pytest

from mogabench.engine.interrupts import interrupts_held, obey, obeying_interrupts
from mogabench.errors import UserError


def press():
    os.kill(os.getpid(), signal.SIGINT)


class Interrupted:
    """An object in whose destructor Ctrl-C comes."""

    def __del__(self):
        press()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_is_obeyed_after_a_destructor_that_forgot_it():
    went_on = False
    with pytest.raises(KeyboardInterrupt), obeying_interrupts():
        one = Interrupted()
        del one
        went_on = True
    assert went_on


def test_while_held_it_waits():
    passed = []
    with pytest.raises(KeyboardInterrupt), obeying_interrupts():
        with interrupts_held():
            press()
            passed.append("held")
        passed.append("after")
        obey()
        passed.append("too far")
    assert passed == ["held", "after"]


def test_an_error_that_follows_from_it_is_not_reported():
    with pytest.raises(KeyboardInterrupt), obeying_interrupts(), interrupts_held():
        press()
        raise UserError("a process that loads data was killed")


def test_without_it_nothing_changes():
    with pytest.raises(UserError), obeying_interrupts():
        raise UserError("something else")
    with obeying_interrupts():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_ignores_it_goes_on_to():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with obeying_interrupts():
            press()
            obey()
    finally:
        signal.signal(signal.SIGINT, before)

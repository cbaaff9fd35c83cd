"""Ctrl-C where Python would forget it."""

import os
import signal
import sys

import pytest
from torch.utils.data import Dataset

from mogabench.engine.interrupts import interrupts_held, obey, obeying_interrupts
from mogabench.engine.loading import evaluation_loader
from mogabench.engine.task import Source
from mogabench.errors import UserError
from mogabench.records import Data


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


class Disconnected(Dataset):
    """Reports errors as Python's threads do that send batches to a process that has ended."""

    def __len__(self):
        return 1

    def __getitem__(self, place):
        for error in (ConnectionResetError("gone"), EOFError("ended"), ValueError("another")):
            sys.excepthook(type(error), error, None)
        return place


def test_a_loader_says_nothing_of_a_main_process_that_has_ended(job, capfd):
    data = Data(name="folder:a", split="val", samples=1, digest="0" * 64)
    assert list(evaluation_loader(job(workers=1), Source(Disconnected(), data), 1)) == [0]
    assert capfd.readouterr().err.split() == ["ValueError:", "another"]

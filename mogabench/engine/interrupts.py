"""Ctrl-C that is not lost on its way to the main loop.

Python raises ``KeyboardInterrupt`` wherever the program is. In a destructor, such as that of
PyTorch's loaders, it is printed and forgotten, and the training goes on.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Interrupts:
    """Whether Ctrl-C came, and whether it has to wait."""

    def __init__(self) -> None:
        self.came = self.is_held = False

    def note(self, *_: Any) -> None:
        """Handles the signal."""
        self.came = True
        if not self.is_held:
            raise KeyboardInterrupt


_interrupts = _Interrupts()


@contextmanager
def obeying_interrupts() -> Iterator[None]:
    """Ends by ``KeyboardInterrupt`` after Ctrl-C, whatever became of it in between.

    Leaves alone who handles the signal otherwise.

    Raises:
        KeyboardInterrupt: Ctrl-C came.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    _interrupts.came = False
    signal.signal(signal.SIGINT, _interrupts.note)
    try:
        yield
        obey()
    except Exception:
        obey()
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _interrupts.came = False


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Lets Ctrl-C wait for the next `obey`."""
    before, _interrupts.is_held = _interrupts.is_held, True
    try:
        yield
    finally:
        _interrupts.is_held = before


def obey() -> None:
    """Ends what is done if Ctrl-C came.

    Raises:
        KeyboardInterrupt: It did.
    """
    if _interrupts.came:
        raise KeyboardInterrupt

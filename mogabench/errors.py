"""Errors that a user can cause, each with a message of one clear line."""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_OUT_OF_MEMORY = re.compile(
    r"out of memory|an't allocate memory|ailed to allocate memory|DefaultCPUAllocator|ALLOC_FAILED"
)
"""What PyTorch's errors say, of which those of the CPU have no class of their own, and others'."""


class UserError(Exception):
    """Something the user gave is wrong; the message says what, and what would be right.

    The command line prints the message without a traceback and exits with status 2.
    """


class AlreadyReportedError(UserError):
    """Another process has said what is wrong, so that this one ends in silence.

    Attributes:
        status: To exit with.
    """

    def __init__(self, status: int) -> None:
        super().__init__("another process of this job has said why it ends")
        self.status = status


class OutOfMemoryError(UserError, MemoryError):
    """The memory does not suffice; who chose the batch may try a smaller one."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory that is used up caused an error of Python, PyTorch or another runtime."""
    return isinstance(error, MemoryError) or bool(_OUT_OF_MEMORY.search(str(error)))


def unknown(kind: str, name: str, valid: Iterable[str], *, most: int = 30) -> UserError:
    """Builds the error for a name that is not known.

    Args:
        kind: What the name should have been, such as ``"recipe"``.
        name: What was given.
        valid: The names that would have been right.
        most: The message lists them all if they are no more than this.

    Returns:
        The error, with the nearest valid names suggested; the caller raises it.
    """
    names = list(valid)
    folded = {item.casefold(): item for item in names}
    near = [folded[hit] for hit in get_close_matches(name.casefold(), folded, n=3)]
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    listed = ", ".join(names) if len(names) <= most else f"{len(names)} names"
    shown = f"'{name}'" if name.isprintable() else repr(name)  # on one line
    return UserError(f"unknown {kind} {shown}{hint} (valid: {listed or 'none'})")


def import_extra(package: str, extra: str, *, module: str = "") -> Any:
    """Imports what an extra of this project installs.

    Args:
        package: Its name for pip.
        extra: Of this project, such as ``runtimes``.
        module: What it is imported as, where that is another name.

    Raises:
        UserError: It is not installed, or does not import.
    """
    name = module or package
    try:
        return import_module(name)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            advice = f"pip install 'mogabench[{extra}]'"
            raise UserError(f"{package} is not installed: {advice}") from None
        reason = str(error).partition("\n")[0]  # such as a shared library that the system lacks
        raise UserError(f"{package} is installed but cannot be imported: {reason}") from error


def list_some(items: Sequence[object], *, most: int = 3) -> str:
    """The first few, for a message."""
    return ", ".join(map(str, items[:most])) + ", …" * (len(items) > most)


def list_and_count(items: Sequence[object], *, most: int = 5) -> str:
    """The first few, for a message, and how many there are where that is more."""
    return list_some(items, most=most) + f" ({len(items)} in all)" * (len(items) > most)

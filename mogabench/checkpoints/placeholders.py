"""Inert stand-ins for the objects that lie beside the weights in a pickle.

PyTorch's ``weights_only`` unpickler refuses a file for any class that it does not know. The names
of those classes are therefore read from the file first, without running anything, and each is
given to the unpickler as a class from here that does nothing but keep its arguments. No name is
ever looked up in a module.
"""

from __future__ import annotations

import pickletools
import re
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from argparse import Namespace
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LEGACY_PICKLES = 4
"""Before PyTorch 1.6 a file began with a magic number, a version, the system and the payload."""


class Placeholder(list[Any]):
    """What was an object of an unknown class, or the result of an unknown function.

    It is a list because the unpickler appends to lists only.

    Attributes:
        arguments: What it was made of.
        state: What was to be its attributes.
    """

    __slots__ = ("arguments", "state")
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Placeholder:
        """Keeps the arguments."""
        made = super().__new__(cls)
        made.arguments, made.state = arguments, None
        return made

    def __init__(self, *arguments: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        """Keeps the state."""
        self.state = state


class _Mapping:
    """Makes a plain mapping of what was one of an unknown class, such as ``defaultdict``."""

    def __new__(cls, *arguments: Any) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


def _number(dtype: Any = None, data: Any = None) -> Any:
    """A NumPy number as a plain one."""
    code = dtype.arguments[0] if isinstance(dtype, Placeholder) and dtype.arguments else None
    if isinstance(code, str) and re.fullmatch(r"[biuf][1248]", code) and isinstance(data, bytes):
        return np.frombuffer(data, code)[0].item()
    return Placeholder(dtype, data)


_KNOWN: dict[str, Callable[..., Any]] = {
    "argparse.Namespace": Namespace,  # the command line of timm and DeiT
    "numpy.core.multiarray.scalar": _number,
    "numpy._core.multiarray.scalar": _number,
}


def stand_ins(path: Path) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """What `torch.serialization.safe_globals` needs to read a file of ``torch.save``.

    Args:
        path: The file; one that is damaged has none.
    """
    names: dict[str, bool] = {}
    try:
        with _pickles(path) as file:
            for _ in range(1 if zipfile.is_zipfile(path) else _LEGACY_PICKLES):
                names |= _names(file)
        return [(_KNOWN.get(name) or _stand_in(name, fill), name) for name, fill in names.items()]
    except Exception:  # what a damaged pickle raises can be anything; the unpickler will say so
        return []


def _stand_in(name: str, is_filled: bool) -> type:
    return type(name, (_Mapping,) if is_filled else (Placeholder,), {"__slots__": ()})


def _pickles(path: Path) -> IO[bytes]:
    """The file's pickle, or the row of pickles that an older file begins with."""
    if not zipfile.is_zipfile(path):
        return path.open("rb")
    archive = zipfile.ZipFile(path)
    return archive.open(next(name for name in archive.namelist() if name.endswith("/data.pkl")))


def _names(file: IO[bytes]) -> dict[str, bool]:
    """The names in the next pickle, and whether an object of each is filled as a mapping is.

    The stack and the memo of the pickle hold here, for each value, the name that made it.
    """
    found: dict[str, bool] = {}
    stack: list[str | None] = []
    memo: dict[int, str | None] = {}
    argument: Any
    for operation, argument, _ in pickletools.genops(file):
        taken = _pop(stack, operation)
        match operation.name:
            case "GLOBAL":
                stack.append(_python3_name(argument))
                found.setdefault(stack[-1] or "", False)
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "REDUCE" | "NEWOBJ" | "BUILD" | "SETITEM" | "SETITEMS":
                stack.append(taken[0])
                if operation.name.startswith("SETITEM") and taken[0]:
                    found[taken[0]] = True
            case "MARK":
                stack.append("(")
            case _:
                stack.extend([None] * len(operation.stack_after))
    return found


def _pop(stack: list[str | None], operation: pickletools.OpcodeInfo) -> list[str | None]:
    """Takes from the stack what an operation does."""
    before = operation.stack_before
    count = len(before)
    if pickletools.markobject in before:
        last = len(stack) - 1 - stack[::-1].index("(")
        count = len(stack) - last + before.index(pickletools.markobject)
    elif operation.name in ("PUT", "BINPUT", "LONG_BINPUT"):
        count = 0
    taken = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    return taken


def _python3_name(argument: str) -> str:
    module, _, name = argument.partition(" ")
    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return f"{module}.{name}"


def module_weights(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The weights in what was an ``nn.Module``, by the names that its ``state_dict`` has.

    Args:
        value: A placeholder, or anything else, which has none.
        prefix: What comes before the names.
    """
    state = value.state if isinstance(value, Placeholder) else None
    if not isinstance(state, dict) or not {"_parameters", "_buffers", "_modules"} <= state.keys():
        return
    hidden = state.get("_non_persistent_buffers_set", ())
    for kind in ("_parameters", "_buffers"):
        for name, tensor in state[kind].items():
            if name not in hidden:
                yield f"{prefix}{name}", tensor
    for name, module in state["_modules"].items():
        yield from module_weights(module, f"{prefix}{name}.")

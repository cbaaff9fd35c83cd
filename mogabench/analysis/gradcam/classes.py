"""The class that a user means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.errors import UserError, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence


def find_class(text: str, names: Sequence[str]) -> int:
    """The class that a text means: a name, one of the synonyms in it, or a number from 0.

    Raises:
        UserError: There is none, or several are called so.
    """
    wanted = text.casefold()
    whole = [place for place, name in enumerate(names) if name.casefold() == wanted]
    found = whole or [
        place for place, name in enumerate(names) if wanted in name.casefold().split(", ")
    ]
    if len(found) > 1:
        raise UserError(f"--class {text} is the name of several: {' and '.join(map(str, found))}")
    if found:
        return found[0]
    if not text.isdecimal():
        raise unknown("class", text, names)
    if int(text) >= len(names):
        raise UserError(f"--class {text}: the network has {len(names)} classes, numbered from 0")
    return int(text)

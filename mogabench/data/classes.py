"""The names of classes in a file, ``--class-map``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mogabench.errors import UserError
from mogabench.files import expanded

if TYPE_CHECKING:
    from pathlib import Path


def read_class_names(file: Path) -> tuple[str, ...]:
    """Reads one name from each line that is not empty.

    Raises:
        UserError: The file cannot be read, is empty, or names a class twice.
    """
    try:
        lines = expanded(file).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the class map {file}: {error}") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise UserError(f"the class map {file} names no class")
    repeated = next((name for name, count in Counter(names).items() if count > 1), None)
    if repeated is not None:
        raise UserError(f"the class map {file} names {repeated} twice")
    return names

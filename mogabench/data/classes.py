"""The names of classes in a file, ``--class-map``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mogabench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


def read_class_names(file: Path) -> tuple[str, ...]:
    """Reads one name from each line that is not empty.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the class map {file}: {error}") from error
    return tuple(line.strip() for line in lines if line.strip())

"""Writing files whole or not at all, and their digests."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from mogabench.errors import UserError


def write_whole(path: Path, content: str | bytes) -> None:
    """Replaces the file's content in one step, creating its folder where needed.

    Raises:
        UserError: It cannot be written; a file that was there before is unchanged.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def slug(text: str) -> str:
    """The letters and digits of a text as a file's name, such as ``nvidia-h200``."""
    return "-".join("".join(c if c.isalnum() else " " for c in text).split()).lower()


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

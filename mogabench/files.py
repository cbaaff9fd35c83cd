"""Writing files whole or not at all, and their digests."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mogabench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader


_UNFINISHED, _FINISHED = ".unfinished", ".finished"
"""Hidden folders of files that will take their places together."""

_staging: ContextVar[Path | None] = ContextVar("staging", default=None)
"""The folder whose files are to take their places together, while there is one."""


def write_whole(path: Path, content: str | bytes) -> None:
    r"""Replaces the file's content in one step, creating its folder where needed.

    Within `replaced_together` that step comes at the end. Of a link it is the file that the link
    leads to, and a device or a pipe is written to as it is. Bytes of names that are not UTF-8 are
    written out, as JSON has them (``\udce9``).

    Raises:
        UserError: It cannot be written; a file that was there before is unchanged.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    folder = _staging.get()
    if folder is not None:
        path = folder / _UNFINISHED / path.relative_to(folder)
    with _one_line(f"cannot write {path}"):
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        path = Path(os.path.realpath(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        with _locked(temporary) as file:
            try:
                file.truncate(0)
                file.write(data)
                file.flush()
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise


def _locked(path: Path) -> IO[bytes]:
    """Opens a file that no other process writes to, waiting for one that does.

    One that was killed leaves the file, for the next one to take.
    """
    while True:
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                    return file
        except BaseException:
            file.close()
            raise
        file.close()  # the other one has put it into its place


@contextmanager
def replaced_together(folder: Path) -> Iterator[None]:
    """Has what `write_whole` writes below a folder take its place at the end, all or nothing.

    Until then it lies in a hidden folder, whose one change of name decides. A process that is
    killed before leaves the old files, and one that is killed after it leaves work that the next
    one finishes first. Only one process at a time does so in a folder; another one waits.

    Raises:
        UserError: A file cannot be written. Those that were there before are unchanged, or the next
            call puts the others into their places.
    """
    with ExitStack() as stack:
        with _one_line(f"cannot write to {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone_in(folder))
            _move_finished(folder)
            shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)
            # Not before the lock is held: until then the hidden folder may be another's.
            stack.callback(shutil.rmtree, folder / _UNFINISHED, ignore_errors=True)
            (folder / _UNFINISHED).mkdir()
        token = _staging.set(folder)
        stack.callback(_staging.reset, token)
        yield
        with _one_line(f"cannot write to {folder}"):
            (folder / _UNFINISHED).rename(folder / _FINISHED)
            _move_finished(folder)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Waits until no other process is within this for the folder, and then keeps others out.

    The system lets the next one in when a process ends, however that ends.

    Raises:
        OSError: The folder cannot be opened or locked.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _move_finished(folder: Path) -> None:
    """Moves the files of a hidden folder that is finished to their places."""
    finished = folder / _FINISHED
    if not finished.is_dir():
        return
    for file in sorted(finished.rglob("*")):
        if file.is_file():
            place = folder / file.relative_to(finished)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
    shutil.rmtree(finished)


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{what}: {error.strerror}") from error


def expanded(path: str | Path) -> Path:
    """A path whose leading ``~`` or ``~user`` is that home; as it is where there is no such user.

    `Path.expanduser` raises an error for a file called ``~old.jpg``.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111


def open_regular(path: Path) -> BufferedReader:
    """Opens a regular file to read; a pipe would wait for a writer, and a device might never end.

    Raises:
        OSError: It is none, or cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        code = errno.EISDIR if stat.S_ISDIR(kind) else errno.EINVAL
        text = os.strerror(code) if stat.S_ISDIR(kind) else "it is not a regular file"
        raise OSError(code, text, str(path))
    return os.fdopen(descriptor, "rb")


def is_file(path: Path) -> bool:
    """Whether there is such a file; none where its name is one that no file can have."""
    try:
        return path.is_file()
    except OSError:
        return False


def read_regular(path: Path) -> bytes:
    """The content of a regular file; see `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def slug(text: str) -> str:
    """The letters and digits of a text as a file's name, such as ``nvidia-h200``."""
    return "-".join("".join(c if c.isalnum() else " " for c in text).split()).lower()


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

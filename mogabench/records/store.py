"""The append-only store: one JSON line per record, one file per kind."""

from __future__ import annotations

import fcntl
import io
import os
from bisect import insort
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mogabench.errors import UserError
from mogabench.files import expanded
from mogabench.records.schema import Kind, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path


class Store:
    """Records under ``<results>/records``, read over those of another folder.

    Several processes may append at once: each holds the file's lock while it compares a record
    with the newest one and writes it, and reads first what the others have added. So no line is
    torn, and of equal records that arrive at once only one is written. Reads take no lock.

    A line that a killed process left unfinished is moved to ``<kind>.torn`` by the next write and
    ignored by every read.

    Raises:
        UserError: The results are a file, the folder of the records itself, or cannot be looked at.

    Attributes:
        results: The folder that is written to, by this class only below ``records``.
        base: The results folder whose records come before the own ones; it is never written to.
        folder: The folder of the own ``.jsonl`` files.
        problems: One line of text for each stored line that could not be read.
    """

    def __init__(self, results: str | Path, base: str | Path | None = None) -> None:
        results = expanded(results)
        _check_folder(results)
        self.results = results
        self.base = None if base is None else expanded(base)
        self.folder = results / "records"
        self.problems: list[str] = []
        self._records: defaultdict[tuple[Kind, str], list[Record]] = defaultdict(list)
        self._of_base: defaultdict[tuple[Kind, str], int] = defaultdict(int)
        self._own = {kind: _RecordFile(self.folder / f"{kind}.jsonl") for kind in Kind}
        self._loaded = False

    def append(self, record: Record) -> bool:
        """Writes the record as one whole line, or not at all.

        A record that repeats the newest one of its subject and kind (see `Record.repeats`) is
        left out, wherever the newest one is stored.

        Returns:
            Whether the record was written.

        Raises:
            UserError: The folder or the file cannot be written, or the disk is full.
        """
        if self._holds(record):
            return False
        path = self._own[record.kind].path
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with path.open("ab+", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                _set_torn_line_aside(file.fileno(), path)
                if self._holds(record):  # another process has just written it
                    return False
                _write_line(file.fileno(), record.line().encode() + b"\n")
                self._catch_up(self._own[record.kind])
        except OSError as error:
            raise UserError(
                f"cannot write the record to {path}: {error.strerror}; "
                "give another folder with --results"
            ) from error
        return True

    def latest(
        self, subject_key: str, kind: Kind, *, metric: str | None = None, **setup: Any
    ) -> Record | None:
        """The newest record of that subject whose provenance has the values in ``setup``.

        Args:
            subject_key: The subject's.
            kind: What is recorded.
            metric: A value that the record must have; None for any.
            **setup: As of `mogabench.records.Record.same_setup`.
        """
        matching = self.matching(subject_key, kind, **setup)
        return next((one for one in matching if metric is None or metric in one.values), None)

    def matching(self, subject_key: str, kind: Kind, **setup: Any) -> Iterator[Record]:
        """The records of that subject whose provenance has those values, newest first.

        Args:
            subject_key: The subject's.
            kind: What is recorded.
            **setup: As of `mogabench.records.Record.same_setup`.
        """
        records = reversed(self._index().get((kind, subject_key), []))
        return (record for record in records if record.same_setup(**setup))

    def all(self, kind: Kind | None = None) -> Iterator[Record]:
        """Every record, or every record of one kind, oldest first."""
        for (record_kind, _), records in self._index().items():
            if kind in (None, record_kind):
                yield from records

    def _holds(self, record: Record) -> bool:
        """Whether the record repeats the newest one, also where another process wrote that."""
        self._index()
        self._catch_up(self._own[record.kind])
        newest = self.latest(record.subject.key, record.kind)
        return newest is not None and record.repeats(newest)

    def _index(self) -> dict[tuple[Kind, str], list[Record]]:
        if not self._loaded:
            if self.base is not None:
                for kind in Kind:
                    self._catch_up(
                        _RecordFile(self.base / "records" / f"{kind}.jsonl", is_own=False)
                    )
            for file in self._own.values():
                self._catch_up(file)
            self._loaded = True
        return self._records

    def _take(self, record: Record, *, is_own: bool) -> None:
        """Takes in a record: own ones after those of the base, each in the order of their time.

        A record that was merged from another machine may be older than what was written before.
        """
        place = (record.kind, record.subject.key)
        low = self._of_base[place] if is_own else 0
        insort(self._records[place], record, lo=low, key=_started)
        self._of_base[place] += not is_own

    def _catch_up(self, file: _RecordFile) -> None:
        """Takes in the lines that were not read yet."""
        for where, line in file.read_on():
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("its writer was stopped")
                if line.strip():
                    self._take(Record.model_validate_json(line), is_own=file.is_own)
            except ValueError as error:
                problem = f"{where} set aside ({_reason(error)})"
                if problem not in self.problems:
                    self.problems.append(problem)


def _started(record: Record) -> datetime:
    return record.provenance.started


def _check_folder(results: Path) -> None:
    try:
        is_other = results.exists() and not results.is_dir()
        holds_records = any((results / f"{kind}.jsonl").exists() for kind in Kind)
    except OSError as error:
        raise UserError(
            f"cannot read {results}: {error.strerror}; give another folder with --results"
        ) from error
    if is_other:
        raise UserError(
            f"{results} is a file, not a folder of results; give a folder with --results"
        )
    if holds_records:
        raise UserError(
            f"{results} holds the records themselves; give the folder above it, "
            f"{results.absolute().parent}"
        )


class _RecordFile:
    """A file of records and how much of it was read."""

    def __init__(self, path: Path, *, is_own: bool = True) -> None:
        self.path = path
        self.is_own = is_own
        self._bytes = 0
        self._lines = 0

    def read_on(self) -> Iterator[tuple[str, bytes]]:
        """Yields place and content of each line after those of the last call.

        A last line without its end is not taken as read: its writer may still be at it.

        Raises:
            UserError: The file is there and cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._bytes)
                content = file.read()  # in one piece: readlines may see what follows a torn end
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise UserError(f"cannot read the records in {self.path}: {error.strerror}") from error
        for line in io.BytesIO(content).readlines():
            yield f"{self.path}:{self._lines + 1}", line
            if line.endswith(b"\n"):
                self._bytes += len(line)
                self._lines += 1


def _reason(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}"


def _set_torn_line_aside(descriptor: int, path: Path) -> None:
    content_end = os.fstat(descriptor).st_size
    if content_end == 0 or os.pread(descriptor, 1, content_end - 1) == b"\n":
        return
    content = path.read_bytes()
    keep = content.rfind(b"\n") + 1
    with path.with_suffix(".torn").open("ab") as aside:
        aside.write(content[keep:] + b"\n")
    os.ftruncate(descriptor, keep)


def _write_line(descriptor: int, line: bytes) -> None:
    """Writes the whole line, or leaves the file as it was."""
    start = os.fstat(descriptor).st_size
    try:
        while line:
            line = line[os.write(descriptor, line) :]
        os.fsync(descriptor)
    except BaseException:
        os.ftruncate(descriptor, start)
        raise

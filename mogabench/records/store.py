"""The append-only store: one JSON line per record, one file per kind."""

from __future__ import annotations

import fcntl
import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mogabench.errors import UserError
from mogabench.records.schema import Kind, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_RESULTS = Path("results")


class Store:
    """Records under ``<results>/records``.

    Several processes may append at once: each holds the file's lock for the length of one write.
    A line that a killed process left torn is moved to ``<kind>.torn`` by the next write and
    ignored by every read.

    Attributes:
        folder: The folder of the ``.jsonl`` files.
        problems: One line of text for each stored line that could not be read.
    """

    def __init__(self, results: Path = DEFAULT_RESULTS) -> None:
        self.folder = results / "records"
        self.problems: list[str] = []
        self._records: dict[tuple[Kind, str], list[Record]] | None = None

    def append(self, record: Record) -> None:
        """Writes the record as one whole line, or not at all.

        Raises:
            UserError: The folder or the file cannot be written, or the disk is full.
        """
        path = self.folder / f"{record.kind}.jsonl"
        line = record.line().encode() + b"\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with path.open("ab+", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                _set_torn_line_aside(file.fileno(), path)
                start = os.fstat(file.fileno()).st_size
                try:
                    _write_whole(file.fileno(), line)
                except BaseException:
                    os.ftruncate(file.fileno(), start)
                    raise
        except OSError as error:
            raise UserError(
                f"cannot write the record to {path}: {error.strerror}; "
                "give another folder with --results"
            ) from error
        if self._records is not None:
            self._records[record.kind, record.subject.key].append(record)

    def latest(self, subject_key: str, kind: Kind, **setup: Any) -> Record | None:
        """The newest record of that subject whose provenance has the values in ``setup``."""
        candidates = self._index().get((kind, subject_key), [])
        return next((r for r in reversed(candidates) if r.same_setup(**setup)), None)

    def all(self, kind: Kind | None = None) -> Iterator[Record]:
        """Every record, or every record of one kind, oldest first."""
        for (record_kind, _), records in self._index().items():
            if kind in (None, record_kind):
                yield from records

    def _index(self) -> dict[tuple[Kind, str], list[Record]]:
        if self._records is None:
            self._records = defaultdict(list)
            for path in sorted(self.folder.glob("*.jsonl")):
                for record in self._read(path):
                    self._records[record.kind, record.subject.key].append(record)
        return self._records

    def _read(self, path: Path) -> Iterator[Record]:
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                yield Record.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"])) or "line"
                self.problems.append(f"{path}:{number} set aside ({where}: {first['msg']})")


def _set_torn_line_aside(descriptor: int, path: Path) -> None:
    content_end = os.fstat(descriptor).st_size
    if content_end == 0 or os.pread(descriptor, 1, content_end - 1) == b"\n":
        return
    content = path.read_bytes()
    keep = content.rfind(b"\n") + 1
    with path.with_suffix(".torn").open("ab") as aside:
        aside.write(content[keep:] + b"\n")
    os.ftruncate(descriptor, keep)


def _write_whole(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)

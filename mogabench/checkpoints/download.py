"""Downloads that can be continued, and are checked against the first one."""

from __future__ import annotations

import fcntl
import hashlib
import os
import zipfile
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from mogabench.catalogue import cache_folder
from mogabench.errors import UserError
from mogabench.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mogabench.releases import Release

_CHUNK = 1 << 20
_TIMEOUT_S = 30
_PICKLE = b"\x80"
"""How a pickle begins, which is what PyTorch wrote before version 1.6."""

_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


def weights_folder() -> Path:
    """Where downloads are kept."""
    return cache_folder() / "weights"


def fetch(release: Release, cache_dir: Path | None = None, *, progress: bool = True) -> Path:
    """Downloads the file unless it is there, and checks it against its first download.

    A broken download is continued by the next call. Its SHA-256 is remembered beside the file in
    the format of ``sha256sum``. Processes that ask for the same file take turns.

    Args:
        release: What to download.
        cache_dir: Where to keep it; ``weights_folder()`` by default.
        progress: Show a progress bar on standard error.

    Raises:
        UserError: The link is dead, the network or the disk fails, or the file has changed.
    """
    path = (cache_dir or weights_folder()) / release.name
    try:
        if not path.exists():
            _download(release, path, progress)
        _check_digest(path, release)
    except OSError as error:
        raise UserError(
            f"cannot keep {path}: {error.strerror}; free some space, or set MOGABENCH_CACHE "
            "to another folder"
        ) from error
    return path


def _download(release: Release, path: Path, progress: bool) -> None:
    part = path.with_name(f"{path.name}.part")
    validator = path.with_name(f"{path.name}.part.etag")
    console = Console(stderr=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not path.exists():  # else another process finished it while this one waited
                with _bar(console, progress) as bar:
                    _receive(release, file, validator, bar)
                os.fsync(file.fileno())
                _check_kind(part, release)
                part.replace(path)
    except KeyboardInterrupt:
        console.print(f"{release.name}: stopped; the same command continues the download")
        raise
    part.unlink(missing_ok=True)
    validator.unlink(missing_ok=True)


def _bar(console: Console, shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not shown,
    )


def _receive(release: Release, file: BinaryIO, validator: Path, bar: Progress) -> None:
    """Appends to the file what it lacks, or writes it anew where the release has changed."""
    known = _validator(validator)
    done = file.seek(0, os.SEEK_END) if known else 0
    with _request(release, done, known) as response:
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            done = 0
            file.truncate(done)
            write_whole(validator, response.headers["ETag"] or "")
        elif not _continues(response, done):
            write_whole(validator, "")  # the same command begins anew
            raise _interrupted_download(release, "the server sent another part than was asked for")
        total = release.bytes if response.length is None else done + response.length
        task = bar.add_task(release.name, total=total, completed=done)
        for chunk in _chunks(release, response):
            file.write(chunk)
            done += len(chunk)
            bar.update(task, completed=done)
        file.flush()
    if total is not None and done < total:
        raise _interrupted_download(release, f"{done} of {total} bytes arrived")


def _validator(file: Path) -> str:
    """What the server named the content that is there in part; empty where that is not known."""
    try:
        text = file.read_text(encoding="ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    return text if text.isprintable() else ""


def _continues(response: HTTPResponse, done: int) -> bool:
    """Whether an answer of a part of the file begins where it was asked to."""
    return (response.headers["Content-Range"] or "").startswith(f"bytes {done}-")


def _check_kind(part: Path, release: Release) -> None:
    """Refuses, and removes, what is no whole file of weights: a login page, nothing, half a zip.

    Raises:
        UserError: It is none.
    """
    with part.open("rb") as file:
        start = file.read(4)
    is_zip = start.startswith(b"PK")
    if is_zip and not zipfile.is_zipfile(part):
        problem = "what arrived is not the whole file"
    elif release.bytes is not None and part.stat().st_size != release.bytes:
        problem = f"{part.stat().st_size} bytes arrived where {release.bytes} were published"
    elif is_zip or start.startswith(_PICKLE):
        return
    else:
        problem = "what arrived is not a file of weights" if start else "nothing arrived"
    part.unlink()
    raise _by_hand(release, problem)


def _request(release: Release, done: int, known: str) -> HTTPResponse:
    """Asks each place in turn; the error is that of the last one."""
    *others, last = release.urls
    for url in others:
        try:
            return _ask(release, url, done, known)
        except UserError:
            continue
    return _ask(release, last, done, known)


def _ask(release: Release, url: str, done: int, known: str) -> HTTPResponse:
    headers = {"User-Agent": "mogabench"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": known}
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=_TIMEOUT_S)
    except HTTPError as error:
        if done and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _ask(release, url, 0, "")
        what = "is a dead link" if error.code in _GONE else "cannot be had now"
        raise _by_hand(release, f"{url} {what} (HTTP {error.code})") from error
    except (OSError, HTTPException, ValueError) as error:  # the last of a wrong address
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise _by_hand(release, f"cannot reach {url} ({reason})") from error
    if response.headers.get_content_type() == "text/html":
        raise _by_hand(release, f"{url} leads to a web page, not to the file")
    return response


def _chunks(release: Release, response: HTTPResponse) -> Iterator[bytes]:
    try:
        yield from iter(partial(response.read1, _CHUNK), b"")
    except (OSError, HTTPException) as error:
        raise _interrupted_download(release, str(error)) from error


def _by_hand(release: Release, problem: str) -> UserError:
    return UserError(
        f"{problem}; download {release.name} by hand from {release.page}, or ask its authors, "
        "and pass it with --weights FILE"
    )


def _interrupted_download(release: Release, reason: str) -> UserError:
    return UserError(
        f"the download of {release.name} broke off ({reason}); the same command continues it"
    )


def _check_digest(path: Path, release: Release) -> None:
    sidecar = path.with_name(f"{path.name}.sha256")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if release.sha256 not in (None, digest):
        raise UserError(
            f"{path} is not the published file (its SHA-256 is {digest}, not {release.sha256}); "
            "delete it to download it again"
        )
    if not sidecar.exists():
        write_whole(sidecar, f"{digest}  {path.name}\n")
    elif digest not in sidecar.read_text():
        raise UserError(
            f"{path} is not the file that was first downloaded (its SHA-256 differs from "
            f"{sidecar.name}); delete it to download it again, or delete {sidecar.name} to trust it"
        )

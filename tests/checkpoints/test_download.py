"""Downloads from a server on this machine that can break off, forget ranges and change its mind."""

import hashlib
import multiprocessing
import os
import random
import re
import signal
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mogabench.checkpoints import fetch, resolve_weights
from mogabench.errors import UserError
from mogabench.releases import Release
from mogabench.subject import Subject

PAGE = "https://github.com/Westlake-AI/MogaNet/releases/tag/moganet-in1k-weights"
CONTENT = b"\x80" + random.Random(0).randbytes(2_999_999)
OTHER = b"\x80" + CONTENT[:0:-1]
TINY = Subject(
    task="classification", method="classifier", backbone="moganet_tiny", input_size=(224, 224)
)


class _Server(ThreadingHTTPServer):
    """Serves one file under every path.

    Attributes:
        sends: Bytes after which an answer breaks off.
        pause_s: How long it waits between pieces of 100 kB.
        shift: By how much the part that it says to send is not the one that was asked for.
        length: The ``Content-Length`` that it states; the true one if empty, none if None.
        ranges: The ``Range`` header of each request so far, None where there was none.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.etag = CONTENT, '"1"'
        self.knows_ranges, self.sends, self.pause_s = True, len(CONTENT), 0.0
        self.status, self.content_type = 200, "application/octet-stream"
        self.shift, self.length = 0, ""
        self.ranges = []

    def handle_error(self, *_):
        """A client that hangs up is no news."""

    @property
    def release(self):
        url = f"http://127.0.0.1:{self.server_port}/weights.pth.tar"
        return Release("weights.pth.tar", (url,), PAGE, "in1k_300e")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers["Range"]
        server.ranges.append(wanted)
        if server.status != 200:
            return self.send_error(server.status)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        if not (server.knows_ranges and self.headers["If-Range"] == server.etag):
            start = 0
        if start and start >= len(server.content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", server.content_type)
        if start:
            span = f"bytes {start + server.shift}-{len(server.content) - 1}/{len(server.content)}"
            self.send_header("Content-Range", span)
        if server.length is not None:
            length = server.length or str(len(server.content) - start)
            self.send_header("Content-Length", length)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        end = min(start + server.sends, len(server.content))
        for at in range(start, end, 100_000):
            self.wfile.write(server.content[at : min(at + 100_000, end)])
            time.sleep(server.pause_s)
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with _Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def _fails(server, folder, pattern):
    with pytest.raises(UserError, match=pattern) as caught:
        fetch(server.release, folder, progress=False)
    assert "\n" not in str(caught.value)
    assert not (folder / "weights.pth.tar").exists()


def test_a_dead_place_is_passed_over_and_the_published_digest_is_checked(server, tmp_path):
    dead = "http://127.0.0.1:9/weights.pth.tar"  # the port of no service
    digest = hashlib.sha256(CONTENT).hexdigest()
    good = replace(server.release, urls=(dead, *server.release.urls), sha256=digest)
    assert fetch(good, tmp_path, progress=False).read_bytes() == CONTENT
    with pytest.raises(UserError, match="not the published file"):
        fetch(replace(good, sha256="0" * 64), tmp_path, progress=False)


def test_official_weights_are_downloaded_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MOGABENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(
        "mogabench.checkpoints.resolving.official_weights", lambda *_: server.release
    )
    for _ in range(2):
        path = resolve_weights("official", TINY, progress=False)
    assert path == tmp_path / "weights" / "weights.pth.tar"
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None]
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert (path.parent / "weights.pth.tar.sha256").read_text() == f"{digest}  weights.pth.tar\n"
    assert len(list(path.parent.iterdir())) == 2
    assert resolve_weights(str(path), TINY) == path


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_killed_download_is_continued(kill, server, tmp_path, capfd):
    server.pause_s = 0.05
    process = multiprocessing.get_context("fork").Process(
        target=fetch, args=(server.release, tmp_path), kwargs={"progress": False}
    )
    process.start()
    part = tmp_path / "weights.pth.tar.part"
    while process.is_alive() and not (part.exists() and part.stat().st_size):
        time.sleep(0.01)
    os.kill(process.pid, kill)
    process.join()
    arrived = part.stat().st_size
    assert 0 < arrived < len(CONTENT)

    server.pause_s = 0
    assert fetch(server.release, tmp_path, progress=False).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={arrived}-"]
    assert not part.exists()
    assert ("the same command continues" in capfd.readouterr().err) == (kill == signal.SIGINT)


def test_broken_download_is_continued(server, tmp_path, capfd):
    server.sends = 1_234_567
    _fails(server, tmp_path, "broke off .1234567 of 3000000 bytes arrived.*command continues it")
    _fails(server, tmp_path, "broke off .2469134 of 3000000")
    assert fetch(server.release, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1234567-", "bytes=2469134-"]
    assert "weights.pth.tar" in capfd.readouterr().err, "there is a progress bar"


@pytest.mark.parametrize(
    "change",
    [
        {"content": OTHER, "etag": '"2"'},
        {"knows_ranges": False},
        {"etag": None},
    ],
    ids=["another file by now", "no ranges", "no validator any more"],
)
def test_part_that_cannot_be_continued_is_replaced(change, server, tmp_path):
    server.sends = 1_000_000
    _fails(server, tmp_path, "broke off")
    vars(server).update(change, sends=len(CONTENT))
    assert fetch(server.release, tmp_path, progress=False).read_bytes() == server.content


def test_part_without_validator_is_never_continued(server, tmp_path):
    server.etag, server.sends = None, 1_000_000
    _fails(server, tmp_path, "broke off")
    server.sends = len(CONTENT)
    assert fetch(server.release, tmp_path, progress=False).read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_part_that_was_complete(server, tmp_path):
    (tmp_path / "weights.pth.tar.part").write_bytes(CONTENT)
    (tmp_path / "weights.pth.tar.part.etag").write_text(server.etag)
    assert fetch(server.release, tmp_path, progress=False).read_bytes() == CONTENT


def test_several_processes_download_once(server, tmp_path):
    server.pause_s = 0.01
    with ThreadPoolExecutor(4) as pool:
        paths = pool.map(lambda _: fetch(server.release, tmp_path, progress=False), range(4))
        assert {path.read_bytes() for path in paths} == {CONTENT}
    assert server.ranges == [None]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        ({"status": 404}, r"is a dead link \(HTTP 404\)"),
        ({"status": 503}, r"cannot be had now \(HTTP 503\)"),
        ({"content_type": "text/html"}, "leads to a web page"),
    ],
)
def test_dead_link_says_what_to_do_instead(state, complaint, server, tmp_path):
    vars(server).update(state)
    advice = (
        r"download weights\.pth\.tar by hand from "
        r"https://github\.com/Westlake-AI/MogaNet/releases/tag/moganet-in1k-weights, .*"
        "--weights FILE"
    )
    _fails(server, tmp_path, f"{complaint}.*{advice}")


def test_no_network(server, tmp_path):
    server.shutdown()
    server.server_close()
    _fails(server, tmp_path, r"cannot reach http.*Connection refused.*by hand")


def test_no_space(server, tmp_path, small_files_only):
    with small_files_only():
        _fails(server, tmp_path, "File too large; free some space, or set MOGABENCH_CACHE")


def test_changed_file_is_not_trusted(server, tmp_path):
    path = fetch(server.release, tmp_path, progress=False)
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(UserError, match=r"not the file that was first downloaded.*delete it"):
        fetch(server.release, tmp_path, progress=False)

    path.unlink()
    server.content = OTHER
    with pytest.raises(UserError, match="not the file that was first downloaded"):
        fetch(server.release, tmp_path, progress=False)
    (tmp_path / "weights.pth.tar.sha256").unlink()
    assert fetch(server.release, tmp_path, progress=False).read_bytes() == OTHER


def _zip(folder):
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("data.pkl", CONTENT)
    return (folder / "a.zip").read_bytes()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "nothing arrived"),
        (b"\n<!doctype html><title>Sign in</title>", "not a file of weights"),
        (b"\x1f\x8b" + CONTENT, "not a file of weights"),
        ("cut", "not the whole file"),
    ],
)
def test_what_is_no_file_of_weights_is_not_kept(content, says, server, tmp_path):
    server.content = _zip(tmp_path)[:-100] if content == "cut" else content
    server.length = None  # so that nothing but the content tells
    server.sends = len(server.content)
    _fails(server, tmp_path / "weights", says)
    assert not list((tmp_path / "weights").glob("*.part"))


def test_another_part_than_was_asked_for_is_not_put_together(server, tmp_path):
    server.sends = 1_000_000
    _fails(server, tmp_path, "broke off")
    server.sends, server.shift = len(CONTENT), 7
    _fails(server, tmp_path, "another part than was asked for")
    server.shift = 0
    assert fetch(server.release, tmp_path, progress=False).read_bytes() == CONTENT


@pytest.mark.parametrize("damage", [b"\xff\xfe", b'"1"\r\nX-Evil: yes', b""])
def test_a_damaged_note_of_a_part_begins_the_download_anew(damage, server, tmp_path):
    server.sends = 1_000_000
    _fails(server, tmp_path, "broke off")
    (tmp_path / "weights.pth.tar.part.etag").write_bytes(damage)
    server.sends = len(CONTENT)
    assert fetch(server.release, tmp_path, progress=False).read_bytes() == CONTENT
    assert server.ranges[-1] is None


@pytest.mark.parametrize("length", ["many", "-5", None])
def test_a_length_that_is_none_is_not_needed(length, server, tmp_path):
    server.length = length
    assert fetch(server.release, tmp_path, progress=False).read_bytes() == CONTENT


def test_a_published_size_is_checked(server, tmp_path):
    server.length = None
    short = replace(server.release, bytes=len(CONTENT) + 1)
    with pytest.raises(UserError, match=rf"\({len(CONTENT)} of {len(CONTENT) + 1} bytes arrived"):
        fetch(short, tmp_path, progress=False)


def test_an_address_that_is_none(tmp_path):
    wrong = Release("a.pth", ("htps:/nowhere",), PAGE, "in1k_300e")
    with pytest.raises(UserError, match=r"cannot reach htps:/nowhere \("):
        fetch(wrong, tmp_path, progress=False)

"""Answers of a server that somebody changed give the whole file, or one line on what is wrong."""

import io
import random
import socketserver
import threading

import pytest
import torch

from mogabench.checkpoints import download, fetch
from mogabench.errors import UserError
from mogabench.releases import Release

TRIES = 3000
NUMBERS = ["", "0", "-1", "1", "9" * 30, "9" * 5000, "١٢", "0x10", "1e3", "3.0", "NaN", "\x00", "ü"]
HEADERS = ["Content-Length", "Content-Range", "Content-Type", "ETag", "Transfer-Encoding"]
HEADERS += ["Location", "Content-Encoding", "Connection", "X", ""]
VALUES = [
    *NUMBERS,
    "chunked",
    "gzip",
    "text/html",
    "close",
    "/again",
    "http://[",
    "bytes */*",
    '"2"',
]
STATUSES = ["200 OK", "206 Partial Content", "204", "302 Found", "304", "404", "416", "500", "999"]
STATUSES += ["", "-1", "200" * 9, "OK", "\x00"]


def _content() -> bytes:
    file = io.BytesIO()
    torch.save({"weight": torch.arange(500.0)}, file)
    return file.getvalue()


CONTENT = _content()


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        asked = b""
        while not asked.endswith(b"\r\n\r\n") and (line := self.rfile.readline()):
            asked += line
        self.wfile.write(self.server.answers.pop(0) if self.server.answers else b"")


class _Server(socketserver.ThreadingTCPServer):
    """Sends what it was told to, an answer for each request; then nothing."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[bytes] = []

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""


def answer(rng: random.Random) -> bytes:
    """The file from some place on, as a sound server sends it, with changes."""
    start = rng.choice([0, 0, rng.randrange(len(CONTENT))])
    headers = {
        "Content-Length": str(len(CONTENT) - start),
        "ETag": '"1"',
        "Content-Type": "application/octet-stream",
    }
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    status, body = ("206 Partial Content" if start else "200 OK"), CONTENT[start:]
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        kind = rng.randrange(4)
        if kind == 0:
            headers[rng.choice(HEADERS)] = rng.choice(VALUES)
        elif kind == 1:
            headers.pop(rng.choice(list(headers)), None)
        elif kind == 2:
            status = rng.choice(STATUSES)
        else:
            body = body[: rng.randrange(len(body) + 1)]
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    if rng.random() < 0.1:
        at = rng.randrange(len(head))
        head = head[:at] + rng.randbytes(3) + head[at + rng.choice([0, 3]) :]
    return head + body


@pytest.mark.slow
def test_a_download_is_whole_or_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_TIMEOUT_S", 0.5)
    rng, kept = random.Random(0), 0
    with _Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/weights.pth"
        release = Release("weights.pth", (url,), "https://example.org", "in1k_300e")
        for number in range(TRIES):
            folder = tmp_path / str(number // 3)  # the second and third continue the first
            server.answers = [answer(rng) for _ in range(rng.choice([1, 1, 2, 3]))]
            try:
                path = fetch(release, folder, progress=False)
            except UserError as error:
                assert "\n" not in str(error)
                assert not (folder / "weights.pth").exists()
                continue
            kept += 1
            assert path.read_bytes() == CONTENT
            assert {file.name for file in folder.iterdir()} == {path.name, f"{path.name}.sha256"}
        server.shutdown()
    assert TRIES / 10 < kept < TRIES

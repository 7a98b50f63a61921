"""Downloads from a server on this machine, which does what servers do: breaks off, redirects, sends a page, knows no
parts. A file gets its name only once it is whole and the right one."""

from __future__ import annotations

import hashlib
import resource
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchbench.core import download as module
from benchbench.core.download import Wanted, download
from benchbench.core.errors import InputError

CONTENT = np.random.default_rng(0).bytes(3 * 2**20 + 17)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """What it serves and how. asked: the `Range` of each request, "" for all. breaks: after how many bytes each of the
    next replies ends. parts: whether it knows `Range`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag, self.kind = CONTENT, '"one"', "application/octet-stream"
        self.parts, self.lengths, self.conditions = True, True, True
        self.breaks: list[int] = []
        self.asked: list[str] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked, server = self.headers.get("Range", ""), self.server
        server.asked.append(asked)
        if self.path == "/gone":
            return self.send_error(404)
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", self.path if self.path == "/moved-for-ever" else "/file")
            self.end_headers()
            return None
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.parts else 0
        if server.conditions and self.headers.get("If-Range", server.tag) != server.tag:
            start = 0
        if start >= len(server.content):
            return self.send_error(416)
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", server.kind)
        if server.tag:
            self.send_header("ETag", server.tag)
        if server.lengths:
            self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            )
        self.end_headers()
        self.wfile.write(body[: server.breaks.pop(0)] if server.breaks else body)
        self.close_connection = True
        return None

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that has one file, with no proxy between and no pause before it is asked again."""
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.fixture
def wanted(server: Server, tmp_path: Path) -> Wanted:
    """That file, into a folder that is not there yet."""
    return Wanted(f"{server.base}/file", tmp_path / "to" / "w.pth", SHA256, "try the moon")


def refused(wanted: Wanted) -> str:
    with pytest.raises(InputError) as caught:
        download(wanted)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def beside(wanted: Wanted) -> list[str]:
    return sorted(path.name for path in wanted.target.parent.iterdir())


def test_whole_and_only_once(server: Server, wanted: Wanted) -> None:
    """The bytes that were served and nothing beside them; a second call asks nobody."""
    assert download(wanted) == SHA256
    assert wanted.target.read_bytes() == CONTENT
    assert beside(wanted) == ["w.pth"]
    assert download(wanted) == SHA256
    assert server.asked == [""]


def test_a_damaged_file_is_replaced(wanted: Wanted) -> None:
    """It has the name and not the digest."""
    wanted.target.parent.mkdir()
    wanted.target.write_bytes(CONTENT[:1000])
    assert download(wanted) == SHA256
    assert wanted.target.read_bytes() == CONTENT


def test_goes_on_by_itself(server: Server, wanted: Wanted) -> None:
    """Two replies that end early: the third asks for what is missing, from the byte behind what came."""
    server.breaks = [2**20, 2**19]
    assert download(wanted) == SHA256
    assert server.asked == ["", f"bytes={2**20}-", f"bytes={2**20 + 2**19}-"]


@pytest.mark.parametrize("sha256", [SHA256, ""])
def test_goes_on_another_day(server: Server, wanted: Wanted, sha256: str) -> None:
    """What a call left that gave up is gone on with by the next, with a digest or by the server's version alone. Until
    then nothing has the name."""
    wanted = replace(wanted, sha256=sha256)
    server.breaks = [2**20, 0]
    said = refused(wanted)
    assert f"{wanted.address} broke off after {2**20:,} bytes" in said
    assert said.endswith("; try the moon")
    assert beside(wanted) == ["w.pth.part", "w.pth.part.from"]
    assert download(wanted) == SHA256
    assert server.asked[-1] == f"bytes={2**20}-"
    assert beside(wanted) == ["w.pth"]


@pytest.mark.parametrize("case", ["no parts", "other version", "other address", "no version", "unheeded"])
def test_begins_anew_where_it_cannot_go_on(server: Server, wanted: Wanted, case: str) -> None:
    """Two files are never joined: a server that knows no parts, a file that changed, another address, a file without a
    digest of which nobody says which version it is, and a server that gives the rest of another version."""
    if case != "unheeded":
        wanted = replace(wanted, sha256="")
    server.breaks = [2**20, 0]
    server.tag = "" if case == "no version" else server.tag
    refused(wanted)
    server.parts = case != "no parts"
    if case in ("other version", "unheeded"):
        server.tag, server.content = '"two"', CONTENT[::-1]
        server.conditions = case != "unheeded"
        wanted = replace(wanted, sha256=hashlib.sha256(CONTENT[::-1]).hexdigest())
    if case == "other address":
        wanted = replace(wanted, address=f"{server.base}/other")
    download(wanted)
    assert wanted.target.read_bytes() == server.content
    assert beside(wanted) == ["w.pth"]


def test_a_piece_of_something_else_is_thrown_away(server: Server, wanted: Wanted) -> None:
    """The unfinished file was damaged by somebody: with the rest it has another digest, so it comes anew."""
    server.breaks = [2**20, 0]
    refused(wanted)
    wanted.part.write_bytes(bytes(2**20))
    assert download(wanted) == SHA256
    assert server.asked[-2:] == [f"bytes={2**20}-", ""]


def test_whole_but_without_its_name(server: Server, wanted: Wanted) -> None:
    """A kill before the rename: with a digest nobody is asked; without one there is no rest, and it comes anew."""
    server.breaks = [2**20, 0]
    refused(wanted)
    wanted.part.write_bytes(CONTENT)
    n = len(server.asked)
    assert download(wanted) == SHA256
    assert len(server.asked) == n
    wanted.target.unlink()
    server.breaks = [2**20, 0]
    wanted = replace(wanted, sha256="")
    refused(wanted)
    wanted.part.write_bytes(CONTENT)
    assert download(wanted) == SHA256
    assert server.asked[-2:] == [f"bytes={len(CONTENT)}-", ""]


def test_length_that_nobody_says(server: Server, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the end is where the connection ends, which only a digest can tell from a break; and there is a bound."""
    server.lengths = False
    assert download(wanted) == SHA256
    wanted.target.unlink()
    monkeypatch.setattr(module, "MOST", 2**20)
    assert "sends more than 1,048,576 bytes" in refused(wanted)
    assert beside(wanted) == []


def test_redirects(server: Server, wanted: Wanted) -> None:
    """Followed; one that leads to itself is one sentence."""
    assert download(replace(wanted, address=f"{server.base}/moved")) == SHA256
    wanted.target.unlink()
    assert "answers 302" in refused(replace(wanted, address=f"{server.base}/moved-for-ever"))


def test_never_out_of_an_encrypted_connection() -> None:
    """From https to http is refused by the handler that follows."""
    request = module.urllib.request.Request("https://example.org/w.pth")
    with pytest.raises(OSError, match="is not encrypted"):
        module._Redirects().redirect_request(request, None, 302, "", {}, "http://example.org/w.pth")  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("content", "kind", "sentence"),
    [
        (b"<html>log in", "text/html; charset=utf-8", "gives a page of the web in place of the file"),
        (
            b"\n<!DOCTYPE html>log in",
            "application/octet-stream",
            "gives a page of the web in place of the file",
        ),
        (b"version https://git-lfs.github.com/spec/v1", "text/plain", "gives a Git LFS pointer"),
        (CONTENT[:1000], "application/octet-stream", "gives a file of 1,000 bytes with sha256"),
        (b"", "application/octet-stream", "gives a file of 0 bytes with sha256"),
        (
            CONTENT[::-1],
            "application/octet-stream",
            f"and not {SHA256}, damaged or another one; try the moon",
        ),
    ],
    ids=["page", "page in disguise", "pointer", "short", "empty", "other"],
)
def test_something_else(server: Server, wanted: Wanted, content: bytes, kind: str, sentence: str) -> None:
    """One sentence says what came; nothing of it stays."""
    server.content, server.kind = content or b" ", kind
    if not content:
        server.breaks, server.lengths = [0], False
    assert sentence in refused(wanted)
    assert beside(wanted) == []


def test_nobody_there(server: Server, wanted: Wanted) -> None:
    """No such file, no server, no such address: one sentence each, and the way out."""
    assert refused(replace(wanted, address=f"{server.base}/gone")).endswith(
        "answers 404 Not Found; try the moon"
    )
    closed = replace(wanted, address="http://127.0.0.1:9/w.pth")
    assert "http://127.0.0.1:9/w.pth cannot be reached (" in refused(closed)
    assert "is no address" in refused(replace(wanted, address="ftp://127.0.0.1/w.pth"))
    secret = replace(wanted, address="http://me:secret@127.0.0.1:9/w.pth?key=secret")
    assert "secret" not in refused(secret)
    assert beside(wanted) == []


def test_a_look_at_it(wanted: Wanted) -> None:
    """Where no digest is known, whoever wants the file says whether it is one."""

    def look(path: Path) -> None:
        raise InputError(f"{path.stat().st_size} bytes of nothing")

    assert refused(replace(wanted, sha256="", look=look)) == f"{len(CONTENT)} bytes of nothing"
    assert beside(wanted) == []


def test_no_room(wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known before anything comes where the server says how much will; and where a disk fills up on the way, which a
    limit on the size of files stands for, what is there stays to go on from."""
    with monkeypatch.context() as patched:
        patched.setattr(module.shutil, "disk_usage", lambda _: type("", (), {"free": 1000}))
        assert f"needs {len(CONTENT):,} bytes more, and the disk has room for 1,000" in refused(wanted)
        assert beside(wanted) == []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        assert "cannot write" in refused(wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not wanted.target.exists()
    assert wanted.part.stat().st_size <= 2**20
    assert download(wanted) == SHA256


@pytest.mark.parametrize("what", ["target", "part", "parent"])
def test_what_is_no_file_is_in_the_way(wanted: Wanted, what: str) -> None:
    """A folder, a pipe that nobody reads, and a file in place of the folder: nobody waits."""
    import os

    if what == "parent":
        wanted.target.parent.write_text("")
        assert "cannot write" in refused(wanted)
        return
    wanted.target.parent.mkdir()
    if what == "target":
        wanted.target.mkdir()
        assert "is a folder; take it away" in refused(wanted)
    else:
        os.mkfifo(wanted.part)
        assert "is a pipe" in refused(wanted)


def test_files_of_this_machine(tmp_path: Path) -> None:
    """By file://, resumed like others; a changed one begins anew, and one that is not there is said."""
    origin = tmp_path / "origin file.pth"
    origin.write_bytes(CONTENT)
    wanted = Wanted(origin.as_uri(), tmp_path / "w.pth", "", "look elsewhere")
    assert download(wanted) == SHA256
    wanted.target.unlink()
    origin.unlink()
    assert refused(wanted).endswith("cannot be read (No such file or directory); look elsewhere")


def _get(wanted: Wanted, count: Any) -> None:
    count.put(download(wanted))


@pytest.mark.costly
def test_two_processes_at_once(server: Server, wanted: Wanted) -> None:
    """Both end with the whole file, and it was sent once: the second waits for the first."""
    context = get_context("fork")
    count = context.Queue()
    both = [context.Process(target=_get, args=(wanted, count)) for _ in range(2)]
    for process in both:
        process.start()
    assert [count.get(timeout=60), count.get(timeout=60)] == [SHA256, SHA256]
    for process in both:
        process.join()
    assert server.asked == [""]
    assert beside(wanted) == ["w.pth"]

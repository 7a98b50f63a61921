"""One file from an address to its place: resumed where it broke off, checked, and there only once it is whole.

Pattern: bytes are added to `NAME.part` beside the target, which goes on where a stop of any kind left it; beside that
`NAME.part.from` says from which address they come and which version of the file that was, so that two files are never
joined. What is whole and is found to be the right file takes its name by a rename. Of several processes that want one
file, one holds the lock on the unfinished one and the others wait for it.

Scope: http, https and files. Proxies are those that the environment names. What a file is for, and where else it may be
had, the caller says (`Wanted`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_write, cannot_write
from benchbench.core.hashing import file_sha256
from benchbench.core.paths import printable
from benchbench.core.progress import SILENT, Progress
from benchbench.core.reading import kind_of, open_regular, plain, read_text, require_regular

if (
    sys.platform != "win32"
):  # there nobody waits for another; a file that two made at once has the wrong sha256
    import fcntl

TIMEOUT_S = 30.0  # silence of a server after which it is taken to be gone
PAUSE_S = 1.0  # before it is asked again
TRIES = 5  # of one call, each of which must have brought something
BLOCK = 2**18  # bytes at once
MOST = 2**34  # bytes; a server that sends more sends something without end
MEGABYTE = 10**6


@dataclass(frozen=True)
class Wanted:
    """A file that is to be had.

    Attributes:
        address: Where it comes from: http, https, or a file of this machine as file://.
        target: Where it goes.
        sha256: How its digest (hex) begins, as far as it is known; "" where it is not.
        way_out: What else can be done to have it, as the end of a sentence.
        look: Looks at a whole file that has not got its name yet; raises `InputError` for one that is something else.
    """

    address: str
    target: Path
    sha256: str = ""
    way_out: str = "try again later"
    look: Callable[[Path], None] | None = None

    @property
    def part(self) -> Path:
        """What is unfinished."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def origin(self) -> Path:
        """What says where the unfinished comes from."""
        return self.target.with_name(f"{self.target.name}.part.from")

    @property
    def shown(self) -> str:
        """The address for people, without a password in it."""
        parts = urlsplit(self.address)
        return plain(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl())

    def failed(self, why: str) -> InputError:
        """The sentence for a file that cannot be had."""
        return InputError(f"{self.shown} {why}; {self.way_out}")


class _Answer(NamedTuple):
    """What an address answers. start: the byte that the stream begins with. total: of the whole file; None where nobody
    says. version: the same only for the same bytes; "" where nobody says."""

    stream: BinaryIO
    start: int
    total: int | None
    version: str


class _Broken(Exception):
    """The stream ended before the file did."""


def download(wanted: Wanted, progress: Progress = SILENT) -> str:
    """Bring a file to its place; where it is already there, whole, nothing is asked.

    Args:
        wanted: Which, from where, to where.
        progress: Who is told how far it is, in megabytes.

    Returns:
        The file's sha256 (hex).

    Raises:
        InputError: It cannot be had, is not the right one, or cannot be written; nothing has its name then that had not
            before. What was got of it stays, to go on from, unless it is wrong.
    """
    target = wanted.target
    if kind_of(target) not in ("", "a file"):
        raise InputError(f"{printable(target)} is {kind_of(target)}; take it away, a file belongs there")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _held(wanted, progress) as file:
            if (there := whole(target, wanted.sha256)) is not None:
                return there
            if target.exists():
                progress.note(f"{printable(target)} is damaged or another file; getting it again")
            # A stop between the last byte and the name leaves a whole one, of which there is no rest to ask for.
            done = bool(wanted.sha256) and whole(wanted.part, wanted.sha256) is not None
            resumed = done or _fill(wanted, file, progress)
            try:
                sha256 = _checked(wanted)
            except InputError as error:
                if not resumed:
                    raise
                progress.note(f"{error}; from the beginning")
                _begin(wanted, file)
                _fill(wanted, file, progress)
                sha256 = _checked(wanted)
            os.fsync(file.fileno())
            os.replace(wanted.part, target)
            return sha256
    except OSError as error:
        raise cannot_write(target, error) from error


def whole(path: Path, sha256: str) -> str | None:
    """The sha256 (hex) of a file that is there and begins as it must; None where there is none, or another one."""
    if kind_of(path) != "a file":
        return None
    found = file_sha256(path)
    return found if found.startswith(sha256) else None


@contextmanager
def _held(wanted: Wanted, progress: Progress) -> Iterator[BinaryIO]:
    """The unfinished file, open to read and write, which no other process has meanwhile. An empty one goes away."""
    part = wanted.part
    require_regular(part, "the unfinished download")
    while True:
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            _lock(file, part, progress)
            # Who held it may have given it its name, or taken it away.
            current = part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat())
        except BaseException:
            file.close()
            raise
        if current:
            break
        file.close()
    try:
        yield file
    finally:
        if os.fstat(file.fileno()).st_size == 0 or not part.exists():
            with suppress(OSError):
                wanted.origin.unlink(missing_ok=True)
                if part.exists() and part.stat().st_size == 0:
                    part.unlink()
        file.close()


def _lock(file: BinaryIO, part: Path, progress: Progress) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress.note(f"another process is getting {printable(part.with_suffix(''))}; waiting for it")
        fcntl.flock(file, fcntl.LOCK_EX)


def _fill(wanted: Wanted, file: BinaryIO, progress: Progress) -> bool:
    """Get what is missing of the unfinished file. Returns whether it is made of several pieces."""
    for last in (*[False] * (TRIES - 1), True):
        before = file.seek(0, os.SEEK_END)
        try:
            return _get(wanted, file, progress)
        except _Broken as broken:
            have = file.seek(0, os.SEEK_END)
            if last or have <= before:
                raise wanted.failed(f"broke off after {have:,} bytes ({plain(str(broken))})") from broken
            progress.note(f"{wanted.shown} broke off after {have:,} bytes ({broken}); going on")
            time.sleep(PAUSE_S)
    raise AssertionError("the last try returns or raises")


def _get(wanted: Wanted, file: BinaryIO, progress: Progress) -> bool:
    """One try. Returns whether it went on from what was there."""
    have = file.seek(0, os.SEEK_END)
    version = _version(wanted) if have else None
    if version is None:
        have = 0
    answer = _ask(wanted, have, version or "")
    if answer.start and (answer.start != have or (version and answer.version != version)):
        answer.stream.close()
        answer = _ask(wanted, 0, "")
        if answer.start:
            answer.stream.close()
            raise wanted.failed("gives another part of the file than it was asked for")
    if have and not answer.start:
        progress.note(f"{wanted.shown} gives no rest of what is there; from the beginning")
    with answer.stream as stream:
        if not answer.start:
            _begin(wanted, file, answer.version)
        _require_room(wanted, (answer.total or 0) - answer.start)
        _pour(wanted, answer, stream, file, progress)
    return answer.start > 0


def _pour(wanted: Wanted, answer: _Answer, stream: BinaryIO, file: BinaryIO, progress: Progress) -> None:
    """What comes out of the stream, behind what is there; `_Broken` where it is less than was promised."""
    have, total = answer.start, answer.total
    title = f"getting {wanted.target.name}"
    with progress.stage(title, -(-(total or 0) // MEGABYTE), "megabyte", have // MEGABYTE) as stage:
        while total is None or have < total:
            try:
                block = stream.read(BLOCK if total is None else min(BLOCK, total - have))
            except (OSError, HTTPException) as error:
                raise _Broken(_reason(error)) from error
            if not block:
                break
            file.write(block)
            file.flush()
            stage.advance((have + len(block)) // MEGABYTE - have // MEGABYTE)
            have += len(block)
            if have > MOST:
                _begin(wanted, file)
                raise wanted.failed(f"sends more than {MOST:,} bytes, so it is something else")
        if total is not None and have < total:
            raise _Broken(f"{total - have:,} bytes are missing")
        stage.advance(-(-have // MEGABYTE) - have // MEGABYTE)


def _begin(wanted: Wanted, file: BinaryIO, version: str = "") -> None:
    """Empty the unfinished file, and say what it will be."""
    file.seek(0)
    file.truncate()
    atomic_write(wanted.origin, json.dumps({"address": wanted.address, "version": version}))


def _version(wanted: Wanted) -> str | None:
    """Which version of what is at the address the unfinished file is the beginning of; None where it is of another
    address, or nobody can say and no digest would tell."""
    try:
        said = json.loads(read_text(wanted.origin))
        version = str(said["version"]) if said["address"] == wanted.address else None
    except (InputError, ValueError, KeyError, TypeError):
        return None
    return version if version or wanted.sha256 else None


def _require_room(wanted: Wanted, needed: int) -> None:
    free = shutil.disk_usage(wanted.part.parent).free
    if needed > free:
        raise InputError(
            f"{printable(wanted.target)} needs {needed:,} bytes more, and the disk has room for {free:,}; free some "
            "space or choose another folder"
        )


def _checked(wanted: Wanted) -> str:
    """The sha256 of the unfinished file if it is the right one; else it is emptied, `InputError` says what it is."""
    try:
        sha256 = file_sha256(wanted.part)
        if not sha256.startswith(wanted.sha256):
            raise wanted.failed(_other(wanted, sha256))
        if wanted.look is not None:
            wanted.look(wanted.part)
    except InputError:
        os.truncate(wanted.part, 0)
        raise
    return sha256


def _other(wanted: Wanted, sha256: str) -> str:
    """What a file is that has not the right digest."""
    with open_regular(wanted.part) as file:
        start = file.read(64).lstrip()
    if start.startswith(b"<"):
        return "gives a page of the web in place of the file"
    if start.startswith(b"version https://git-lfs"):
        return "gives a Git LFS pointer in place of the file"
    size = wanted.part.stat().st_size
    short = len(wanted.sha256)
    found = f"sha256 {sha256[:short]} and not {wanted.sha256}"
    return f"gives a file of {size:,} bytes with {found}, damaged or another one"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows an address to another, never out of an encrypted connection."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise urllib.error.URLError(f"it leads to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _ask(wanted: Wanted, have: int, version: str) -> _Answer:
    """The stream of what is missing, or of all where the address cannot give a part."""
    scheme = urlsplit(wanted.address).scheme
    if scheme == "file":
        return _open_file(wanted, have, version)
    if scheme not in ("http", "https"):
        raise wanted.failed("is no address of http, https or file")
    asked = {"User-Agent": "benchbench"}
    if have:
        asked |= {"Range": f"bytes={have}-"} | ({"If-Range": version} if version else {})
    try:
        opener = urllib.request.build_opener(_Redirects)
        reply = opener.open(urllib.request.Request(wanted.address, headers=asked), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if (
            error.code == 416 and have
        ):  # there is nothing behind what is there: it is of another file, or was whole
            return _ask(wanted, 0, "")
        raise wanted.failed(f"answers {error.code} {plain(str(error.reason))}") from error
    except (OSError, HTTPException) as error:
        raise wanted.failed(f"cannot be reached ({plain(_reason(error))})") from error
    except ValueError as error:  # an address that is none
        raise wanted.failed(f"cannot be asked ({plain(str(error))})") from error
    return _understood(wanted, reply)


def _understood(wanted: Wanted, reply: Any) -> _Answer:
    """What a server's reply says."""
    said = reply.headers
    tag = said.get("ETag", "")
    version = tag if tag and not tag.startswith("W/") else said.get("Last-Modified", "")
    part = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", said.get("Content-Range", "").strip())
    if said.get_content_type() == "text/html":
        reply.close()
        raise wanted.failed("gives a page of the web in place of the file")
    if reply.status == 206:
        if part is None:
            reply.close()
            raise wanted.failed("gives a part of the file without saying which")
        return _Answer(reply, int(part[1]), None if part[2] == "*" else int(part[2]), version)
    length = said.get("Content-Length", "")
    return _Answer(reply, 0, int(length) if length.isdecimal() else None, version)


def _open_file(wanted: Wanted, have: int, version: str) -> _Answer:
    """A file of this machine, behind what is there of the same one."""
    path = Path(urllib.request.url2pathname(urlsplit(wanted.address).path))
    try:
        file = open_regular(path)
    except OSError as error:
        raise wanted.failed(f"cannot be read ({error.strerror or error})") from error
    found = os.fstat(file.fileno())
    own = f"{found.st_size} {found.st_mtime_ns}"
    start = file.seek(have if version == own and have <= found.st_size else 0)
    return _Answer(file, start, found.st_size, own)


def _reason(error: Exception) -> str:
    """Why a connection failed, in the system's words."""
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason or type(error).__name__)

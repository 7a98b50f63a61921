"""The two streams of the command line, so that neither can change what a verb does.

Pattern: between Python's text streams and what the shell connected stands an `Outlet` that never fails. A reader that
stops reading (`| head`) changes nothing: the verb goes on to its end, and its exit code is what it would have been. A
full disk or a closed stream is remembered, and said once on the other stream when the verb has ended. Characters that
the encoding of a stream lacks are replaced.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TextIO

from benchbench.core.paths import printable

REPLACE = "benchbench.replace"
_ALIKE = {
    "↑": "^",
    "↓": "v",
    "→": "->",
    "×": "x",
    "−": "-",
    "–": "-",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "±": "+-",
}
_GONE = (errno.EPIPE, errno.ESHUTDOWN, errno.ECONNRESET, *([errno.EINVAL] if os.name == "nt" else []))


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Something that looks alike in place of a character that cannot be written; bytes of a file name as escapes."""
    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end]
    return "".join(
        _ALIKE.get(c) or (printable(c) if "\ud800" <= c <= "\udfff" else "?") for c in lost
    ), error.end


def _ascii(name: str) -> codecs.CodecInfo | None:
    if name != ASCII.replace("-", "_"):
        return None
    known = codecs.lookup("ascii")
    parts = (known.encode, known.decode, known.streamreader, known.streamwriter)
    return codecs.CodecInfo(*parts, known.incrementalencoder, known.incrementaldecoder, name=ASCII)


# Click takes a stream that calls itself ASCII for a mistake and writes UTF-8 to it, which nobody at its end can read.
ASCII = "benchbench-ascii"
codecs.register(_ascii)
codecs.register_error(REPLACE, _replace)


class Outlet(io.RawIOBase):
    """Takes everything. fault: what went wrong first; from then on everything is dropped."""

    def __init__(self, raw: Any) -> None:
        super().__init__()
        self.raw = raw
        self.fault: OSError | None = None

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """Of what is behind it."""
        number: int = self.raw.fileno()
        return number

    def isatty(self) -> bool:
        """Whether a person may look on."""
        with suppress(OSError):
            return bool(self.raw.isatty())
        return False

    def write(self, data: Any) -> int:
        """All of `data`, bytes; waits for a slow reader of a stream that does not block."""
        left = memoryview(data).cast("B")
        whole = len(left)
        while left and self.fault is None:
            try:
                written = self.raw.write(left)
            except OSError as error:
                self.fault = error
                break
            if written is None:
                select.select([], [self.raw.fileno()], [])
            left = left[written or 0 :]
        return whole

    @property
    def lost(self) -> str | None:
        """Why somebody who wanted to read this could not; None where all was written or nobody read on."""
        if self.fault is None or self.fault.errno in _GONE:
            return None
        return self.fault.strerror or str(self.fault)


class _Closed:
    """What is behind a stream that was closed before the program began (`>&-`)."""

    def fileno(self) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def isatty(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class Streams(NamedTuple):
    """The outlets behind both streams; None for one that is no stream of the system, as in a test."""

    out: Outlet | None
    err: Outlet | None

    def lost(self) -> str | None:
        """A sentence on what standard output could not take; None where it took all, or its reader went away."""
        reason = None if self.out is None else self.out.lost
        return reason and f"cannot write to standard output: {reason}; the same command prints it again"


@contextmanager
def guarded() -> Iterator[Streams]:
    """Put outlets behind `sys.stdout` and `sys.stderr` for a while."""
    _hold_standard_numbers()
    before = sys.stdout, sys.stderr
    out, sys.stdout = _guarded(sys.stdout)
    err, sys.stderr = _guarded(sys.stderr)
    try:
        yield Streams(out, err)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def _guarded(stream: TextIO | None) -> tuple[Outlet | None, TextIO]:
    if stream is None:
        outlet = Outlet(_Closed())
        return outlet, _text(outlet, "utf-8", lines=False)
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    if not isinstance(raw, io.RawIOBase) or isinstance(raw, Outlet):
        return None, stream
    with suppress(OSError, ValueError):
        stream.flush()
    outlet = Outlet(raw)
    lines = bool(getattr(stream, "line_buffering", False)) or outlet.isatty()
    encoding = stream.encoding or "utf-8"
    return outlet, _text(outlet, ASCII if codecs.lookup(encoding).name == "ascii" else encoding, lines=lines)


def _text(outlet: Outlet, encoding: str, *, lines: bool) -> TextIO:
    return io.TextIOWrapper(io.BufferedWriter(outlet), encoding, REPLACE, line_buffering=lines)


def _hold_standard_numbers() -> None:
    """Where 0, 1 or 2 is closed, the next file that anybody opens would get its number, and with it what is printed."""
    with suppress(OSError):
        while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(opened, True)
        os.close(opened)

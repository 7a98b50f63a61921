"""What can be written and is no file: the streams of this process, pipes and devices.

`/dev/stdout`, `/dev/stderr` and `/dev/fd/N` mean what is open already. To open them by their names anew would cut off
a file to which the shell has sent them.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from benchbench.core.errors import InputError
from benchbench.core.paths import printable

STDOUT = Path("/dev/stdout")
_OPEN_ALREADY = re.compile(r"(?:/dev/fd|/proc/self/fd)/(\d+)")
_MOST_LINKS = 40  # as Linux has it


def landing(path: Path) -> Path:
    """Where writing to `path` ends: links are followed, though not out of this process through a stream of its own.
    `OSError` for links in a circle."""
    for _ in range(_MOST_LINKS):
        if descriptor(path) is not None or not path.is_symlink():
            return path
        path = path.parent / os.readlink(path)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def descriptor(path: Path) -> int | None:
    """The number of the open file that `path` means; None where it means none."""
    text = str(path)
    if text in ("/dev/stdout", "/dev/stderr"):
        return 1 if text == "/dev/stdout" else 2
    found = _OPEN_ALREADY.fullmatch(text)
    return int(found[1]) if found else None


def is_outlet(path: Path) -> bool:
    """Whether `path`, whose links were followed, is there and is neither a file nor a folder."""
    if descriptor(path) is not None:
        return True
    try:
        kind = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """An outlet, for bytes. Who stops reading has what he wants: that is no error.

    Raises:
        InputError: Nobody reads the pipe; to wait for somebody might be to wait for ever.
        OSError: It cannot be written.
    """
    number = descriptor(path)
    stream = {1: sys.stdout, 2: sys.stderr}.get(number or 0)
    buffer: BinaryIO | None = getattr(stream, "buffer", None)
    with suppress(BrokenPipeError):
        if stream is not None and buffer is not None:
            stream.flush()
            yield buffer
            buffer.flush()
            return
        with os.fdopen(_open(path) if number is None else os.dup(number), "wb") as file:
            yield file


def _open(path: Path) -> int:
    try:
        opened = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    except OSError as error:
        if error.errno == errno.ENXIO and path.is_fifo():
            raise InputError(f"nobody reads the pipe {printable(path)}; start what reads it first") from error
        raise
    os.set_blocking(opened, True)
    return opened

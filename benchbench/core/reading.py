"""Opening what others wrote: the one door through which files are read.

A path may lead to a pipe that nobody writes to, to a device, or to a file without end; who waits for it waits for ever.
So nothing but a regular file is opened, and what is read as a whole has a bound. A folder says so in its own words.

Scope: files that a user names or that lie in a folder that a user names. Libraries that take a path and open it
themselves are handed one that `require_regular` has seen, or better the open file.
"""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

from benchbench.core.errors import InputError

MOST = 2**26
"""Bytes of a file of settings or of a table, above which it is none."""

LONGEST = 300
"""Characters of a path in a sentence."""

KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def kind_of(path: Path | str) -> str:
    """What is there, links followed.

    Args:
        path: Where.

    Returns:
        "a file", "a folder", "a pipe", "a socket", "a device"; "" where nothing is.

    Raises:
        InputError: That cannot be known: a folder above may not be entered, links lead in a circle, a name is too long.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot reach {shortened(path)}: {reason}; look at the folders above it and at their rights"
        ) from error
    return "a file" if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "something else")


def is_folder(path: Path | str) -> bool:
    """Whether a folder is there, links followed.

    Args:
        path: Where.

    Returns:
        False too where nothing is.

    Raises:
        InputError: As `kind_of`.
    """
    return kind_of(path) == "a folder"


def shortened(path: Path | str) -> str:
    """A path as sentences have it: of one that is too long to be read its beginning and its end.

    Args:
        path: Any path.

    Returns:
        At most `LONGEST` characters.
    """
    text = str(path)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 + 1 :]}"


def plain(text: str) -> str:
    """What a library or a file says, as a part of a sentence: one line without control characters, not too long.

    Args:
        text: Anything.

    Returns:
        At most `LONGEST` characters.
    """
    return shortened("".join(c if c.isprintable() else " " for c in text))


def require_regular(path: Path | str, what: str = "", most: int | None = None) -> None:
    """Refuse what is there and is no regular file, links followed.

    Args:
        path: Where; whoever opens it says that nothing is there.
        what: What the sentence calls it, "the suite".
        most: How many bytes it may have, None for any number.

    Raises:
        InputError: It is a pipe, a socket, a device or a folder, or has more bytes.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return
    _require(found.st_mode, path, what)
    if most is not None and found.st_size > most:
        raise _too_long(path, what, most)


def open_regular(path: Path | str, what: str = "") -> BufferedReader:
    """Open a regular file to read its bytes; never waits for somebody to write.

    Args:
        path: The file.
        what: What the sentence calls it.

    Returns:
        The open file.

    Raises:
        InputError: It is no regular file.
        OSError: As `open` has it: it is not there, or may not be read.
    """
    require_regular(path, what)  # before it is opened: that alone may wind a tape
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _require(os.fstat(descriptor).st_mode, path, what)  # it may have been another one before
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path | str, what: str = "", most: int = MOST) -> bytes:
    """The whole content of a regular file.

    Args:
        path: The file.
        what: What sentences call it, "the suite".
        most: How many bytes it may have.

    Returns:
        Its bytes.

    Raises:
        InputError: It is not there, may not be read, is no regular file, or has more bytes.
    """
    try:
        with open_regular(path, what) as file:
            content = file.read(most + 1)  # a file of the system may have more than its size says
    except (OSError, ValueError) as error:  # a path that holds a null byte is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {_named(path, what)}: {reason}") from error
    if len(content) > most:
        raise _too_long(path, what, most)
    return content


def read_text(path: Path | str, what: str = "", most: int = MOST) -> str:
    """The whole text in a regular file: UTF-8, with or without a byte order mark, which is no part of it.

    Args:
        path: The file.
        what: What sentences call it.
        most: How many bytes it may have.

    Returns:
        The text.

    Raises:
        InputError: As `read_bytes`, and where it is no UTF-8.
    """
    try:
        return read_bytes(path, what, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{_named(path, what)} is not UTF-8 text: {error.reason}; save it as UTF-8"
        ) from error


def _require(mode: int, path: Path | str, what: str) -> None:
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "something else")
        raise InputError(f"{_named(path, what)} is {kind}; give a regular file")


def _too_long(path: Path | str, what: str, most: int) -> InputError:
    return InputError(
        f"{_named(path, what)} has more than {most:,} bytes; it is another file than it should be"
    )


def _named(path: Path | str, what: str) -> str:
    return f"{what} {shortened(path)}".strip()

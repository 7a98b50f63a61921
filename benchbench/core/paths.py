"""Paths as people give them, on the command line, in a suite or to a function, and as they are shown.

A path may be anything: empty, too long, of a user who is not there, or a name that no file can have. What can be said
of that without looking at a disk is said here, once, before anything is read or written.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchbench.core.errors import InputError

LONGEST_NAME, LONGEST_PATH = (
    255,
    4095,
)  # bytes; NAME_MAX and PATH_MAX less its NUL, of every file system in common use


def as_path(given: str | os.PathLike[str]) -> Path:
    """The path that somebody wrote, `~` and `~user` at its beginning replaced by the home folder.

    A shell does not replace them within `--out=~/runs`, and a folder that is called `~` helps nobody; for a file of
    such a name write ./~name.

    Raises:
        InputError: It is no path at all, is empty, holds a NUL character or one that no file name can hold, is too
            long, or begins with the name of an unknown user.

    >>> as_path("runs/mine")
    PosixPath('runs/mine')
    """
    if not isinstance(given, str | bytes | os.PathLike):
        raise InputError(f"{printable(repr(given)[:60])} is no path; name a file or folder")
    text = os.fsdecode(given)
    if not text:
        raise InputError("a path is empty; name a file or folder")
    shown = printable(text if len(text) <= 80 else f"{text[:60]}…{text[-15:]}")
    if "\0" in text:
        raise InputError(f"the path {shown} holds a NUL character, which no file name can hold")
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError as error:
        raise InputError(f"the path {shown} holds a character that no file name can hold here") from error
    if len(encoded) > LONGEST_PATH or any(
        len(name) > LONGEST_NAME for name in encoded.split(os.fsencode(os.sep))
    ):
        raise InputError(
            f"the path {shown} is too long: a name has at most {LONGEST_NAME} bytes, a path {LONGEST_PATH}"
        )
    if not (isinstance(given, str) and text.startswith("~")):
        return Path(text)  # so is ./~name; and what is a path already was read before
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        user = text.split(os.sep)[0]
        raise InputError(
            f"{shown} names the home folder of {printable(user)[1:] or 'a user'}, who is not known here; "
            f"write ./{shown} for a file or folder of that name"
        ) from error


def printable(text: object) -> str:
    """`text` as one line that shows what is in it and moves no cursor: what cannot be printed is written as an escape.

    >>> print(printable("a\\nb"), printable("\\x1b[2J"), printable("caf\\udce9"))
    a\\nb \\x1b[2J caf\\xe9
    """
    return "".join(c if c.isprintable() else _escape(c) for c in str(text))


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no UTF-8, as Python keeps it
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")

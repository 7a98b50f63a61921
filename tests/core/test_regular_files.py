"""The one door through which files are read: nothing that could be waited for is opened."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.reading import open_regular, read_bytes, read_text, require_regular
from benchbench.core.toml import read_toml

READERS: list[Callable[[Path], object]] = [
    require_regular,
    open_regular,
    read_bytes,
    read_text,
    file_sha256,
    lambda path: read_toml(path, "suite"),
]


def _made(kind: str, folder: Path) -> Path:
    path = folder / "x"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link to a pipe":
        os.mkfifo(folder / "p")
        path.symlink_to("p")
    elif kind == "a socket":
        os.chdir(folder)  # the path of a socket is a short one
        socket.socket(socket.AF_UNIX).bind("x")
    elif kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "an endless device" else "/dev/null")
    return path


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("a pipe", "a pipe"),
        ("a link to a pipe", "a pipe"),
        ("a socket", "a socket"),
        ("a folder", "a folder"),
        ("an endless device", "a device"),
        ("an empty device", "a device"),
    ],
)
def test_what_is_no_regular_file_is_refused(
    reader: Callable[[Path], object], kind: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the definition. Were one opened, this test would never end."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"x is {named}; give a regular file"):
        reader(_made(kind, tmp_path))


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    """What was written, without the mark that some editors put before it."""
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfgr\xc3\xbcn\n")
    assert read_text(tmp_path / "x") == "grün\n"
    assert read_bytes(tmp_path / "x") == b"\xef\xbb\xbfgr\xc3\xbcn\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot read the gate .*x: No such file"),
        (b"\xff", "the gate .*x is not UTF-8"),
        (b"12345", "more than 4 bytes"),
    ],
)
def test_what_cannot_be_read_is_named(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    """Sentences of the system and of the codec."""
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_text(tmp_path / "x", "the gate", most=4)


def test_a_path_that_no_system_has_is_refused() -> None:
    """POSIX: no path holds a null byte."""
    with pytest.raises(InputError, match="null"):
        read_bytes("a\0b")

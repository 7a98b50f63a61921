"""Atomic writes: whole or absent, whatever goes wrong."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from benchbench.core import files
from benchbench.core.errors import InputError
from benchbench.core.files import atomic_folder, atomic_path, atomic_write


def test_write_replaces_whole(tmp_path: Path) -> None:
    """The new content is there and no temporary file stays."""
    target = tmp_path / "deep" / "file.txt"
    atomic_write(target, "old")
    atomic_write(target, "new")
    assert target.read_text() == "new"
    assert os.listdir(target.parent) == ["file.txt"]


def test_error_inside_leaves_the_old_file(tmp_path: Path) -> None:
    """An exception half-way through the write is as if nothing had been written."""
    target = tmp_path / "file.txt"
    atomic_write(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSPC on fsync becomes an `InputError` that names the file; nothing stays behind."""

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "_fsync", full)
    with pytest.raises(InputError, match=r"cannot write .*file\.txt: No space left"):
        atomic_write(tmp_path / "file.txt", "x")
    assert os.listdir(tmp_path) == []


def test_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    """A file where a folder must be is named."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        atomic_write(tmp_path / "taken" / "file.txt", "x")


def test_first_folder_wins(tmp_path: Path) -> None:
    """Two writers of one folder: the first to finish stays, the second's copy vanishes without a trace."""
    target = tmp_path / "cell"
    with atomic_folder(target) as late:
        (late / "who").write_text("late")
        with atomic_folder(target) as early:
            (early / "who").write_text("early")
    assert (target / "who").read_text() == "early"
    assert os.listdir(tmp_path) == ["cell"]


def test_folder_vanishes_on_error(tmp_path: Path) -> None:
    """A half-filled folder never becomes visible."""
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "cell") as temporary:
        (temporary / "half").write_text("")
        raise RuntimeError
    assert os.listdir(tmp_path) == []

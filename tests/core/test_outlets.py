"""Writing to what is no file: links, pipes, devices, streams of this process; and folders, which are refused."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbench.core import files
from benchbench.core.errors import InputError
from benchbench.core.files import append, atomic_path, atomic_write, check_output

TEXT = "a board, \u2191 best\n"


def by_path(target: Path, text: str) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


WRITERS: dict[str, Callable[[Path, str], None]] = {
    "atomic_write": atomic_write,
    "append": append,
    "atomic_path": by_path,
}
writers = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@writers
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_a_link(write: Callable[[Path, str], None], there: bool, tmp_path: Path) -> None:
    """Through two links, relative and absolute, to a file that is there or not: the file is written, the links stay."""
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "file"
    if there:
        target.write_text("")
    (tmp_path / "near").symlink_to(target)
    (tmp_path / "far").symlink_to("near")
    write(tmp_path / "far", TEXT)
    assert (tmp_path / "far").is_symlink()
    assert (tmp_path / "near").is_symlink()
    assert target.read_text(encoding="utf-8") == TEXT
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["file"]


@writers
def test_a_pipe_takes_it(write: Callable[[Path, str], None], tmp_path: Path) -> None:
    """Whoever reads gets the bytes, and the pipe is still one. With nobody there it is refused at once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"nobody reads the pipe .*pipe; start what reads it first"):
        write(pipe, TEXT)
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    write(pipe, TEXT)
    with os.fdopen(descriptor, encoding="utf-8") as file:
        assert file.read() == TEXT
    assert pipe.is_fifo()


@writers
def test_devices_and_streams(
    write: Callable[[Path, str], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The null device stays one, through a link too; a full one is a sentence; /dev/stdout and /dev/fd/N are what is
    open, even where that is a file, which is not cut off."""
    write(Path("/dev/null"), TEXT)
    (tmp_path / "null").symlink_to("/dev/null")
    write(tmp_path / "null", TEXT)
    assert not Path("/dev/null").is_file()
    if Path("/dev/full").exists():
        with pytest.raises(InputError, match="cannot write /dev/full: No space left"):
            write(Path("/dev/full"), TEXT)
    write(Path("/dev/stdout"), TEXT)
    assert capfd.readouterr().out == TEXT
    log = tmp_path / "log"
    with log.open("w") as file:
        file.write("before\n")
        file.flush()
        write(Path(f"/dev/fd/{file.fileno()}"), TEXT)
        file.write("after\n")
    assert log.read_text(encoding="utf-8") == f"before\n{TEXT}after\n"


@writers
def test_what_is_refused(write: Callable[[Path, str], None], tmp_path: Path) -> None:
    """A folder, a link to one, links in a circle, a file where a folder must be, a name that is too long: one sentence,
    and nothing is left behind."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "to-folder").symlink_to("folder")
    (tmp_path / "circle").symlink_to("elcric")
    (tmp_path / "elcric").symlink_to("circle")
    before = sorted(tmp_path.rglob("*"))
    for name in ("folder", "to-folder", "circle", "file/inside", "x" * 256):
        for refuse in (lambda path: write(path, TEXT), check_output):
            if name == "x" * 256 and refuse is check_output:
                continue  # core.paths has refused it before
            with pytest.raises(InputError):
                refuse(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before


@writers
def test_the_longest_name_there_may_be(write: Callable[[Path, str], None], tmp_path: Path) -> None:
    """255 bytes: the temporary name beside it is no longer than a file system takes."""
    write(tmp_path / ("\u00e9" * 127 + "x"), TEXT)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EPERM]
)
@pytest.mark.parametrize("write", [atomic_write, by_path], ids=["atomic_write", "atomic_path"])
def test_cleaning_up_hides_nothing(
    write: Callable[[Path, str], None], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that refuses to write refuses to remove as well, whether or not something is there to be removed.
    What is said is why it could not be written."""

    def refuse(*arguments: object, **words: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, "replace", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(InputError, match=f"cannot write .*board.md: {os.strerror(code)}"):
        write(tmp_path / "board.md", TEXT)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EINVAL])
def test_a_folder_that_cannot_be_flushed(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is in its place by then, so that nothing was refused."""
    own = files._fsync

    def refuse(path: Path) -> None:
        if path.is_dir():
            raise OSError(code, os.strerror(code))
        own(path)

    monkeypatch.setattr(files, "_fsync", refuse)
    atomic_write(tmp_path / "file", TEXT)
    assert (tmp_path / "file").read_text(encoding="utf-8") == TEXT

"""What killed writers left is taken away, and nothing that somebody still writes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchbench.core import files
from benchbench.core.files import ABANDONED, atomic_folder, atomic_write, sweep, temporary_name


def left_by(machine: str | None = None, pid: int | None = None, born: int | None = None) -> str:
    """A temporary name as another process would give it; what is not said is as of this one."""
    name = temporary_name(Path("cell")).name
    said = re.fullmatch(r"\.cell\.(\w+)-(\d+)-(\d+)-(\w+)\.tmp", name)
    assert said is not None, name
    own = (
        machine or said[1],
        str(said[2] if pid is None else pid),
        str(said[3] if born is None else born),
        said[4],
    )
    return f".cell.{'-'.join(own)}.tmp"


def dead_pid() -> int:
    """The number of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def aged(path: Path, seconds: float) -> None:
    """Last written so long ago."""
    past = time.time() - seconds
    for each in [*path.rglob("*"), path]:
        os.utime(each, (past, past))


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize(
    ("name", "age", "gone"),
    [
        (left_by(), 0, False),
        (left_by(), 2 * ABANDONED, False),
        (left_by(pid=1), 0, True),  # the number of a living process that began at another time
        (left_by(born=1), 0, True),
        (left_by(pid=2**31 - 1), 0, True),
        (left_by(pid=10**30), 0, True),
        (left_by(machine="00000000", pid=2**31 - 1), 0, False),
        (left_by(machine="00000000", pid=2**31 - 1), 0.9 * ABANDONED, False),
        (left_by(machine="00000000", pid=2**31 - 1), 1.1 * ABANDONED, True),
        (f".cell.{'0' * 32}.tmp", 0, False),
        (f".cell.{'0' * 32}.tmp", 1.1 * ABANDONED, True),
        ("cell.tmp", 2 * ABANDONED, False),
        (".cell.tmp", 2 * ABANDONED, False),
        (left_by(pid=2**31 - 1).removeprefix("."), 2 * ABANDONED, False),
        (left_by(pid=2**31 - 1) + "x", 2 * ABANDONED, False),
    ],
    # The names hold the number of this process, and workers of pytest-xdist must call a test alike.
    ids=[
        *("alive", "alive and old", "number given out again", "began earlier", "no more", "no number"),
        *("another machine", "another machine, days old", "another machine, weeks old"),
        *("older form", "older form, weeks old", "no dot", "nobody's", "without its dot", "another ending"),
    ],
)
def test_who_left_it_decides(tmp_path: Path, name: str, age: float, gone: bool, folder: bool) -> None:
    """A process of this machine that is no more, or whose number another one has: gone. A living one, and one of
    another machine, which nobody can see from here: kept, the latter for a week. Names that are not ours: kept."""
    path = tmp_path / name
    if folder:
        (path / "inside").mkdir(parents=True)
        (path / "inside" / "file").write_text("")
    else:
        path.write_text("")
    aged(path, age)
    sweep(tmp_path)
    assert path.exists() != gone


def test_a_folder_that_is_still_written_into_is_kept(tmp_path: Path) -> None:
    """Of another machine, begun a month ago, with a file in it of today: somebody works there."""
    path = tmp_path / left_by(machine="00000000")
    path.mkdir()
    (path / "old").write_text("")
    aged(path, 30 * 86400)
    (path / "new").write_text("")
    os.utime(path, (0, 0))
    sweep(tmp_path)
    assert path.exists()


def test_a_link_is_removed_and_not_followed(tmp_path: Path) -> None:
    """What it points to stays as it is."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    link = tmp_path / left_by(pid=2**31 - 1)
    link.symlink_to(tmp_path / "precious")
    sweep(tmp_path)
    assert not link.is_symlink()
    assert (tmp_path / "precious" / "file").read_text() == "kept"


@pytest.mark.parametrize("writer", ["file", "folder"])
def test_whoever_writes_beside_it_sweeps(tmp_path: Path, writer: str) -> None:
    """What a killed process left lies there until the next one writes into the same folder."""
    left = tmp_path / left_by(pid=dead_pid())
    left.mkdir()
    if writer == "file":
        atomic_write(tmp_path / "a", "text")
    else:
        with atomic_folder(tmp_path / "a"):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_cannot_be_removed_hides_no_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not there, and one that gives nothing away."""
    sweep(tmp_path / "nowhere")
    left = tmp_path / left_by(pid=2**31 - 1)
    left.write_text("")

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(files.Path, "unlink", refuse)
    sweep(tmp_path)
    assert left.exists()

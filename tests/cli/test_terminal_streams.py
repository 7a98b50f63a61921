"""The two streams: encodings that lack characters, readers that go away, disks that are full, streams that are closed.

What a verb does and its exit code are known from the same command with streams that take everything.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from verbs_tried import VERBS, Console, full, gone

from benchbench.cli import cli
from benchbench.cli.streams import guarded

ENCODINGS = ("ascii", "cp1252", "latin-1", "koi8-r", "shift_jis", "utf-16")
DEAD = {"gone": gone, "full": full, "closed": lambda: None}
needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


def test_every_verb_is_tried() -> None:
    """Those that are registered are those of the table."""
    assert {name.split()[0] for name in VERBS} == set(cli.commands)


def _take_away(world: Path) -> None:
    """What is made as a new folder, and never added to."""
    for name in ("tables", "another"):
        shutil.rmtree(world / name, ignore_errors=True)


@pytest.mark.costly
@pytest.mark.parametrize("verb", VERBS)
def test_no_encoding_stops_a_verb(verb: str, world: Path, console: Console) -> None:
    """0 as in UTF-8, and the output can be read in the encoding of the stream."""
    for encoding in ENCODINGS if verb == "leaderboard" else ENCODINGS[:2]:
        code, out, err = console(*VERBS[verb], encoding=encoding)
        assert code == 0, (encoding, err)
        assert (out + err).decode(encoding).strip()
        assert b"Traceback" not in err
        _take_away(world)


def test_what_cannot_be_written_looks_alike(world: Path, console: Console) -> None:
    """Which way is better is still told apart, and nothing of a name is dropped without a trace."""
    _, out, _ = console("leaderboard", encoding="ascii")
    assert b" v" in out
    code, _, err = console("leaderboard", "d\u00e9j\u00e0", encoding="ascii")
    assert code == 2
    assert b"d?j?" in err


@needs_dev_full
@pytest.mark.costly
@pytest.mark.parametrize(
    ("verb", "how"),
    [*(("compare", how) for how in DEAD), *((verb, "full") for verb in VERBS if verb != "compare")],
)
def test_no_stream_changes_what_a_verb_does(verb: str, how: str, world: Path, console: Console) -> None:
    """Who stops reading changes nothing. A full or closed stdout is one sentence and exit code 2, but for a check,
    whose verdict stays; a dead stderr is nothing at all. Never 1, which is a regression."""
    code, _, err = console(*VERBS[verb], out=DEAD[how]())
    assert code == (0 if how == "gone" or verb in ("check", "migrate") else 2)
    lost = how != "gone" and verb != "migrate"  # which has nothing to print here
    assert (b"benchbench: cannot write to standard output: " in err) == lost
    assert b"Traceback" not in err
    _take_away(world)
    code, _, _ = console(*VERBS[verb], err=DEAD[how]())
    assert code == 0


@needs_dev_full
@pytest.mark.parametrize("out", DEAD)
@pytest.mark.parametrize("err", DEAD)
def test_a_verdict_is_never_lost(
    out: str,
    err: str,
    tmp_path: Path,
    records: Callable[..., Path],
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """0 passed, 1 a regression, 2 wrong usage, 3 nothing comparable, 4 a failed cell, as docs/check.md has them."""
    monkeypatch.chdir(tmp_path)
    records(tmp_path / "base")
    records(tmp_path / "worse", range(10, 13), shift=20.0, noise=1)
    records(tmp_path / "other", name="gan")
    records(tmp_path / "failed", failed=1)
    for folder, code in (("base", 0), ("worse", 1), ("nowhere", 2), ("other", 3), ("failed", 4)):
        assert console("check", folder, "--baseline", "base", out=DEAD[out](), err=DEAD[err]())[0] == code


@needs_dev_full
def test_a_verdict_goes_before_a_file_that_cannot_be_written(
    tmp_path: Path, records: Callable[..., Path], console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A regression is 1 also where --junit meets a full disk, which is said, and the other files are written."""
    monkeypatch.chdir(tmp_path)
    records(tmp_path / "base")
    records(tmp_path / "worse", range(10, 13), shift=20.0, noise=1)
    asked = ("--baseline", "base", "--junit", "/dev/full", "--json", "found.json")
    code, _, err = console("check", "worse", *asked)
    assert code == 1
    assert b"cannot write /dev/full: No space left on device" in err
    assert Path("found.json").is_file()
    assert console("check", "base", *asked)[0] == 2


def test_a_stream_that_does_not_block_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte through a pipe of 64 kB, read slowly by another thread: every byte arrives."""
    import threading

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    got: list[bytes] = []

    def read() -> None:
        with os.fdopen(reader, "rb") as file:
            got.append(file.read())

    thread = threading.Thread(target=read)
    thread.start()
    text = io.TextIOWrapper(io.BufferedWriter(io.FileIO(writer, "w")), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", text)
    with guarded() as streams:
        sys.stdout.write("x" * 1_000_000)
    text.close()
    thread.join()
    assert streams.out is not None
    assert streams.out.fault is None
    assert got == [b"x" * 1_000_000]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_streams_are_put_back(stream: str) -> None:
    """Whoever calls the script in his own process has his streams afterwards."""
    before = getattr(sys, stream)
    with guarded():
        pass
    assert getattr(sys, stream) is before


@needs_dev_full
@pytest.mark.costly
def test_in_a_shell(world: Path) -> None:
    """The same through a real pipe, a full device, closed streams and few files that may be open; stdin closed too."""
    command = f"{sys.executable} -m benchbench"
    for script, code in {
        f"{command} check runs --baseline base | true; exit ${{PIPESTATUS[0]}}": 0,
        f"{command} list datasets | head -1; exit ${{PIPESTATUS[0]}}": 0,
        f"{command} check runs --baseline base >&- 2>&- <&-": 0,
        f"{command} check nowhere --baseline base >&- 2>&-": 2,
        f"{command} list datasets > /dev/full": 2,
        f"ulimit -n 16; {command} check runs --baseline base": 0,
        f"ulimit -v 300000; {command} check runs --baseline base": 2,
        f"PYTHONIOENCODING=ascii {command} leaderboard": 0,
    }.items():
        done: Any = subprocess.run(["bash", "-c", script], capture_output=True, timeout=120)
        assert done.returncode == code, (script, done.stderr)
        assert b"Traceback" not in done.stderr

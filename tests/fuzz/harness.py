"""Reads damaged files in a process of its own, which may neither hang nor grow, and says what went wrong.

A test hands over a function that reads one file; it is a function of a module, because the child imports it:

    def read(path: Path) -> None:
        load_statistics(path)

    def test_statistics_files_that_are_damaged(tmp_path: Path) -> None:
        assert faults(read, tmp_path / "real.npz", mutations(sample())) == []

Whatever `read` does with a damaged file is right, as long as it returns or raises a `BenchbenchError` in one plain
sentence (`extra` names other exceptions that a caller turns into one). The child may take `seconds` for each file and
`MEMORY` bytes more than it had.
"""

from __future__ import annotations

import re
import resource
import signal
import traceback
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from forked import FORKS
from mutations import Mutation

from benchbench.core.errors import BenchbenchError

SECONDS = 20
MEMORY = 2 * 2**30
EVERY = 1
"""Of the damaged files that are handed over, which are read; `conftest.py` sets it."""
LONGEST = 2000
"""Characters of a sentence that a person reads."""

Read = Callable[[Path], object]


def faults(
    read: Read,
    path: Path,
    damaged: Iterable[Mutation],
    extra: tuple[type[Exception], ...] = (),
    seconds: int = SECONDS,
) -> list[str]:
    """What went wrong, a text for each file; [] if nothing did. Each of `damaged` is written to `path` in turn."""
    pending = list(damaged)[::EVERY]
    assert pending, "there is nothing to read"
    found: list[str] = []
    while pending:
        ours, theirs = FORKS.Pipe(duplex=False)
        child = FORKS.Process(target=_read_all, args=(read, path, pending, extra, seconds, theirs))
        child.start()
        theirs.close()
        done = _listen(ours, found)
        child.join()
        if done == len(pending):
            break
        if done < 0:
            found.append(f"the child did not begin (exit code {child.exitcode})")
            break
        why = f"hung for {seconds} s" if child.exitcode == -signal.SIGALRM else f"died ({child.exitcode})"
        found.append(f"{pending[done].what}: {why}")
        pending = pending[done + 1 :]
    return found


def _listen(ours: Connection, found: list[str]) -> int:
    """How many files the child is done with, −1 if it never began; what went wrong is added to `found`."""
    done = -1
    while True:
        try:
            said = ours.recv()
        except EOFError:
            return done
        done += 1
        if said:
            found.append(said)


def _read_all(
    read: Read,
    path: Path,
    damaged: list[Mutation],
    extra: tuple[type[Exception], ...],
    seconds: int,
    theirs: Connection,
) -> None:
    used = psutil.Process().memory_info()
    limit = getattr(used, "data", used.vms) + MEMORY  # only Linux tells them apart
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    theirs.send("")  # it begins
    for mutation in damaged:
        path.write_bytes(mutation.content)
        signal.alarm(seconds)  # the system ends the process, whatever code is running in it
        theirs.send(_fault(read, path, mutation, extra))
        signal.alarm(0)
    theirs.close()


def _fault(read: Read, path: Path, mutation: Mutation, extra: tuple[type[Exception], ...]) -> str:
    """What went wrong with one file, "" if nothing did."""
    try:
        read(path)
    except (BenchbenchError, *extra) as error:
        sentence = str(error)
        if (
            not sentence.strip()
            or "\n" in sentence.strip()
            or len(sentence) > LONGEST
            or re.search(r"\bbug\b", sentence)
        ):
            return f"{mutation.what}: not a plain sentence: {sentence[:300]!r}"
    except BaseException:
        return f"{mutation.what}: {traceback.format_exc()}"
    return ""

"""Processes of their own that do not import torch again: forks of one server, which has imported it and done nothing
else, so that no thread of torch's is in it, which a fork of this process would inherit and wait for.

Where the claim is what a fresh interpreter does, start one instead.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.connection import Connection
from typing import BinaryIO

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "pytest",
        "torch",
        "benchbench.runner.suite",
        "benchbench.views.leaderboard",
        "benchbench.views.report_model",
    ]
)


class Script:
    """`subprocess.Popen` for `data.sources.torchscript`: `script_process` as a fork."""

    def __init__(self, command: list[str], *, cwd: str, **options: object) -> None:
        (reads, asked), (said, writes), (grumbled, complains) = (os.pipe() for _ in range(3))
        self.stdin: BinaryIO = os.fdopen(asked, "wb")
        self.stdout: BinaryIO = os.fdopen(said, "rb", buffering=0)
        self.stderr: BinaryIO = os.fdopen(grumbled, "rb")
        theirs = [
            Connection(reads, writable=False),
            *(Connection(end, readable=False) for end in (writes, complains)),
        ]
        self._process = FORKS.Process(target=_script_process, args=(cwd, theirs), daemon=True)
        self._process.start()
        for end in theirs:
            end.close()

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> int:
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode


def _script_process(folder: str, ends: list[Connection]) -> None:
    from benchbench.data.sources import script_process

    for stream, end in enumerate(ends):
        os.dup2(end.fileno(), stream)
        end.close()
    os.chdir(folder)
    sys.stdin = os.fdopen(0, closefd=False)
    script_process.main()

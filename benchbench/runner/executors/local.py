"""Where cells run: a small protocol, and local processes behind it.

An executor takes jobs and gives back outcomes as they come. A failure is an outcome, never an exception: one
cell must not stop the others. It keeps no state worth saving, because the store is the truth: a queue system
(Slurm, Ray) can stand behind the same three methods without the runner knowing.

Local processes: one fresh interpreter a cell (`runner.executors.job`), so that memory, thread pools and random
generators of one cell never reach the next, and a crash takes one cell only. The child reads its job from
its standard input and ends itself when that pipe closes: a parent killed by SIGKILL leaves no orphans.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from benchbench.core.children import python_command, python_environment
from benchbench.core.machine import THREADS, threads_for

Status = Literal["done", "failed"]
POLL = 0.2  # seconds between looks at the children
GRACE = 60.0  # seconds a child has to finish its step and write a checkpoint before it is killed


@dataclass(frozen=True, eq=False)  # two jobs with the same arguments are still two
class Job:
    """One cell for `runner.executors.job`. `arguments`, JSON-able: `spec` (`runner.spec.CellSpec`), `out` and `device`;
    `log` is the file that takes what the child prints."""

    name: str
    arguments: dict[str, Any]
    log: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a job; `reason` says why it failed, in one sentence."""

    job: Job
    status: Status
    reason: str | None
    seconds: float


class Executor(Protocol):
    """Somebody who carries jobs out."""

    def submit(self, job: Job) -> None:
        """Take a job on; returns at once."""

    def as_completed(self) -> Iterator[Outcome | None]:
        """Each outcome as it comes, until all submitted jobs have one; None now and then while waiting, so
        that the caller can draw."""

    def running(self) -> dict[Job, float]:
        """What is being carried out now, with the seconds since it started."""

    def cancel(self) -> None:
        """End everything that runs and forget what waits."""


class LocalProcesses:
    """At most `workers` child processes at a time, which share the processor's cores evenly."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._waiting: deque[Job] = deque()
        self._children: dict[Job, tuple[subprocess.Popen[str], float, IO[bytes]]] = {}

    def submit(self, job: Job) -> None:
        """Queue a job; it starts when a worker is free and somebody iterates `as_completed`."""
        self._waiting.append(job)

    def running(self) -> dict[Job, float]:
        """The children's jobs and their ages in seconds."""
        now = time.monotonic()
        return {job: now - started for job, (_, started, _) in self._children.items()}

    def as_completed(self) -> Iterator[Outcome | None]:
        """Start, watch and collect children until none is left."""
        while self._waiting or self._children:
            while self._waiting and len(self._children) < self.workers:
                self._start(self._waiting.popleft())
            ended = [job for job, (child, _, _) in self._children.items() if child.poll() is not None]
            for job in ended:
                yield self._collect(job)
            if not ended:
                time.sleep(POLL)
                yield None

    def cancel(self) -> None:
        """Ask every child to end (SIGTERM), which writes down how far its training is; kill those that have not ended
        within a minute, and all at once where somebody interrupts again."""
        self._waiting.clear()
        for child, _, _ in self._children.values():
            child.terminate()
        deadline = time.monotonic() + GRACE
        try:
            for child, _, _ in self._children.values():
                with suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.0, deadline - time.monotonic()))
        finally:
            for child, _, log in self._children.values():
                child.kill()
                child.wait()
                log.close()
            self._children.clear()

    def _start(self, job: Job) -> None:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        log = job.log.open("wb")
        # Two sets of threads on the same cores wait for each other.
        shared = {} if self.workers == 1 else {THREADS: str(threads_for(self.workers))}
        child = subprocess.Popen(
            python_command("benchbench.runner.executors.job"),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            env=python_environment(**shared),
            start_new_session=True,  # Ctrl-C is the parent's to pass on
        )
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(job.arguments, default=str) + "\n")
            child.stdin.flush()  # and stays open: its end tells the child that nobody waits any more
        except BrokenPipeError:
            pass  # the child died at once; its exit code says why
        self._children[job] = (child, time.monotonic(), log)

    def _collect(self, job: Job) -> Outcome:
        child, started, log = self._children.pop(job)
        log.close()
        assert child.stdin is not None
        child.stdin.close()
        seconds = time.monotonic() - started
        if child.returncode == 0:
            return Outcome(job, "done", None, seconds)
        return Outcome(job, "failed", _reason(child.returncode, job.log), seconds)


def last_line(log: Path) -> str:
    """The last thing a job said; "" where it said nothing yet."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def _reason(code: int, log: Path) -> str:
    """The last line the child printed, or the signal that ended it."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; out of memory?" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return last_line(log) or f"its process ended with exit code {code} and said nothing"

"""Cells on this machine: a process each, all of which end when whoever asked for them does.

On Linux and the processor children of one process that has imported torch (`forks`); elsewhere a fresh interpreter a
cell. Either way memory, thread pools and random generators of one cell never reach the next, a crash takes one cell
only, and a parent killed by SIGKILL leaves no orphans.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from benchbench.core.children import python_command, python_environment
from benchbench.core.errors import InputError
from benchbench.core.machine import THREADS, threads_for
from benchbench.runner.executors.executor import Code, Job, Queue
from benchbench.runner.executors.forks import ForkServer

GRACE = 60.0  # seconds a child has to finish its step and write a checkpoint before it is killed
VISIBLE = "CUDA_VISIBLE_DEVICES"
_LOOK = 0.02  # seconds between looks at interpreters of which none has ended


class _Processes(Protocol):
    """A `Host` that can also kill."""

    def start(self, job: Job) -> None: ...
    def ended(self, seconds: float) -> Sequence[tuple[Job, Code]]: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


def local(jobs: int, device: str) -> Queue:
    """The executor of this machine: so many cells at a time, which share the processor's cores evenly."""
    # Two sets of threads on the same cores wait for each other.
    shared = {} if jobs == 1 else {THREADS: str(threads_for(jobs))}
    forking = sys.platform == "linux" and device == "cpu"
    cards = visible_cards() if device == "cuda" and jobs > 1 else []
    return Queue(Local(Forks(shared) if forking else Interpreters(shared, cards)), jobs)


def visible_cards() -> list[str]:
    """What `CUDA_VISIBLE_DEVICES` calls the devices that this process sees."""
    import torch

    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return named or [str(card) for card in range(torch.cuda.device_count())]


class Local:
    """The `Host` over processes of either kind."""

    def __init__(self, processes: _Processes) -> None:
        self._processes = processes
        self._alive: set[Job] = set()

    def start(self, job: Job) -> None:
        """As `Host.start`."""
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log.unlink(missing_ok=True)
        self._processes.start(job)
        self._alive.add(job)

    def ended(self, seconds: float) -> Sequence[tuple[Job, Code]]:
        """As `Host.ended`."""
        found = self._processes.ended(seconds)
        self._alive -= {job for job, _ in found}
        return found

    def end(self) -> None:
        """Ask every child to end (SIGTERM); kill those that have not ended within a minute, and all at once where
        somebody interrupts again."""
        deadline = time.monotonic() + GRACE
        try:
            if self._alive:
                self._processes.terminate()
            while self._alive and (left := deadline - time.monotonic()) > 0:
                self.ended(min(left, 1.0))
        finally:
            self._processes.kill()
            self._alive.clear()


class Forks:
    """Children of one `ForkServer`, which is started with the first of them."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self._server: ForkServer | None = None
        self._jobs: dict[int, Job] = {}
        self._next = 0

    def start(self, job: Job) -> None:
        if self._server is None:
            name = f"forks-{job.log.stem.rpartition('-')[2]}.log"  # another suite may be at work in the same folder
            self._server = ForkServer(job.log.with_name(name), self._variables)
        self._next += 1
        self._jobs[self._next] = job
        self._server.start(self._next, job.spec, job.log)

    def ended(self, seconds: float) -> Sequence[tuple[Job, Code]]:
        if self._server is None:
            time.sleep(seconds)
            return []
        found = self._server.ended(seconds)
        if found is not None:
            return [(self._jobs.pop(number), code) for number, code in found]
        self.kill()
        lost, self._jobs = list(self._jobs.values()), {}
        return [(job, "the process that starts cells was ended; out of memory?") for job in lost]

    def terminate(self) -> None:
        for number in self._jobs:
            assert self._server is not None
            self._server.end(number)

    def kill(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = None


class Interpreters:
    """A fresh interpreter a job, `benchbench job SPEC.json --with-parent`. cards: devices of which each job sees one,
    that on which the fewest are; all of the machine's where empty."""

    def __init__(self, variables: dict[str, str], cards: Sequence[str] = ()) -> None:
        self._variables, self._cards = variables, cards
        self._children: dict[Job, subprocess.Popen[bytes]] = {}
        self._on: dict[Job, str] = {}

    def start(self, job: Job) -> None:
        variables = self._variables
        if self._cards:
            taken = [self._on[other] for other in self._children]
            self._on[job] = min(self._cards, key=taken.count)
            variables = {**variables, VISIBLE: self._on[job]}
        self._children[job] = started(job, variables)

    def ended(self, seconds: float) -> Sequence[tuple[Job, Code]]:
        deadline = time.monotonic() + seconds
        while True:
            found = [
                (job, code) for job, child in self._children.items() if (code := child.poll()) is not None
            ]
            if found or time.monotonic() >= deadline:
                break
            time.sleep(_LOOK)
        for job, _ in found:
            _let_go(self._children.pop(job))
            self._on.pop(job, None)
        return found

    def terminate(self) -> None:
        for child in self._children.values():
            child.terminate()

    def kill(self) -> None:
        for child in self._children.values():
            child.kill()
            child.wait()
            _let_go(child)
        self._children.clear()
        self._on.clear()


def started(job: Job, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    """`benchbench job` in a process that ends when its standard input closes, which this one holds open."""
    try:
        with job.log.open("wb") as log:
            return subprocess.Popen(
                [*python_command("benchbench.cli"), "job", os.fspath(job.spec), "--with-parent"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=python_environment(**variables),
                start_new_session=True,  # Ctrl-C is the parent's to pass on
            )
    except OSError as error:
        raise InputError(f"cannot start {job.name}: {error.strerror or error} ({job.log})") from error


def _let_go(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    with suppress(OSError):
        child.stdin.close()

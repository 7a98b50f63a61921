"""Who carries cells out: a small protocol, and one queue for all that stand behind it.

An executor takes jobs and gives back outcomes as they come. A failure is an outcome, never an exception: one cell must
not stop the others. It keeps no state worth saving, because the store is the truth.

Pattern: where jobs run is a `Host` (`local`, `slurm`, `ray_tasks`), which starts them, says which have ended and ends
them; that so many run at a time, their ages, and what an exit code means is said here once for all hosts. Each of them
starts `benchbench job SPEC.json` (`job.py`), so a cell is the same cell wherever it runs.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from benchbench.core.errors import InputError
from benchbench.results.lease import Taken

Status = Literal["done", "failed", "taken"]
AGAIN = 60.0  # seconds after which a host that was full is asked again
POLL = 0.2  # seconds after which whoever waits for an outcome may draw
SPEAKER = "benchbench: "
"""Before the line by which a job says why it ended, as every command of ours says it."""
Code = int | str
"""How a job ended: the exit code, negative for a signal; or a sentence of the host where there was none."""


@dataclass(frozen=True, eq=False)  # two jobs with the same arguments are still two
class Job:
    """One cell.

    Attributes:
        name: For people.
        spec: The file that says what is asked (`runner.executors.job.JobSpec`).
        log: The file that takes what the job prints.
    """

    name: str
    spec: Path
    log: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: Which one.
        status: "taken" where another process carries the cell out already.
        reason: Why it failed, in one sentence.
        seconds: From its start to its end.
    """

    job: Job
    status: Status
    reason: str | None
    seconds: float


class NoRoomError(InputError):
    """The host takes no more jobs for now; it took others before that asked for the same."""


class Executor(Protocol):
    """Somebody who carries jobs out."""

    def submit(self, job: Job) -> None:
        """Take a job on; returns at once."""

    def as_completed(self) -> Iterator[Outcome | None]:
        """Each outcome as it comes, until all submitted jobs have one; None now and then while waiting, so
        that the caller can draw."""

    def running(self) -> dict[Job, float]:
        """What was handed to the host and has not ended, with the seconds since then."""

    def cancel(self) -> None:
        """End everything that runs and forget what waits."""


class Host(Protocol):
    """Where jobs run."""

    def start(self, job: Job) -> None:
        """Start it, or hand it to whoever will; `NoRoomError` where it can be asked again later."""

    def ended(self, seconds: float) -> Sequence[tuple[Job, Code]]:
        """The jobs that have ended since the last call, each once; waits up to so many seconds for one."""

    def end(self) -> None:
        """Ask every job to end, which writes down how far its training is, and see to it that all have."""


class Queue:
    """The executor over a host.

    Args:
        host: Where jobs run.
        at_once: How many are in the host's hands at a time; None for all.
    """

    def __init__(self, host: Host, at_once: int | None) -> None:
        self.host, self.at_once = host, at_once
        self._waiting: deque[Job] = deque()
        self._started: dict[Job, float] = {}
        self._full_until = 0.0

    def submit(self, job: Job) -> None:
        """Queue a job; it is handed over when there is room and somebody iterates `as_completed`."""
        self._waiting.append(job)

    def running(self) -> dict[Job, float]:
        """As `Executor.running`."""
        now = time.monotonic()
        return {job: now - since for job, since in self._started.items()}

    def as_completed(self) -> Iterator[Outcome | None]:
        """Start, watch and collect jobs until none is left."""
        while self._waiting or self._started:
            self._fill()
            ended = self.host.ended(POLL)
            if ended:
                self._full_until = 0.0
            for job, code in ended:
                yield _outcome(job, code, time.monotonic() - self._started.pop(job))
            if not ended:
                yield None

    def _fill(self) -> None:
        """Hand over what there is room for. A host that is full for now is asked again when a job has ended, or after
        a while."""
        while self._waiting and (self.at_once is None or len(self._started) < self.at_once):
            if self._started and time.monotonic() < self._full_until:
                return
            job = self._waiting[0]
            try:
                self.host.start(job)
            except NoRoomError:
                if not self._started:
                    raise
                self._full_until = time.monotonic() + AGAIN
                return
            self._waiting.popleft()
            self._started[job] = time.monotonic()

    def cancel(self) -> None:
        """As `Executor.cancel`."""
        self._waiting.clear()
        self._started.clear()
        self.host.end()


def last_line(log: Path) -> str:
    """The last thing a job said; "" where it said nothing yet."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode("utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].removeprefix(SPEAKER) if lines else ""


def _outcome(job: Job, code: Code, seconds: float) -> Outcome:
    """What an end means."""
    if code == 0:
        return Outcome(job, "done", None, seconds=seconds)
    if code == Taken.exit_code:
        return Outcome(job, "taken", None, seconds=seconds)
    if isinstance(code, str):
        return Outcome(job, "failed", code, seconds=seconds)
    if code < 0:
        return Outcome(job, "failed", f"its process was {ended_by(code)}", seconds=seconds)
    reason = last_line(job.log) or f"its process {ended_by(code)} and said nothing"
    return Outcome(job, "failed", reason, seconds=seconds)


def ended_by(code: int) -> str:
    """How a process ended, by what `subprocess` says: "ended by SIGABRT", "ended with exit code 3"."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"ended by {_signal(-code)}{'; out of memory?' if -code == signal.SIGKILL else ''}"


def _signal(number: int) -> str:
    """What a signal is called; those for real-time work have numbers alone."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

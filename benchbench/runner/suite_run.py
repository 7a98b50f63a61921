"""A planned suite, carried out: what is not done goes to an executor, what others carry out is waited for.

Nothing here is told by whom a cell was done: the store says whether it is there, its leases who is at it. So several
suites may run on one store, from several machines, and none does what another one does.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchbench.core.errors import CellFailed, InputError
from benchbench.core.files import cannot_write, temporary_name
from benchbench.results.lease import Holder
from benchbench.results.load import failed_at, failure_of
from benchbench.results.store import Store
from benchbench.runner.executors.executor import Executor, Job, Outcome, last_line
from benchbench.runner.executors.job import JobSpec, environment_of_jobs, facts_of_failure
from benchbench.runner.suite import SuiteCell

LOOK = 1.0
"""Seconds between looks at who carries out what."""


@dataclass(frozen=True)
class AtWork:
    """A cell that is carried out now.

    Attributes:
        name: The cell's, for people.
        seconds: Since it began.
        where: Which process on which machine; "" while it waits in a cluster's queue.
        ours: Whether it is one of this suite's own jobs, and not another's.
        said: The last thing that it said.
    """

    name: str
    seconds: float
    where: str
    ours: bool
    said: str


class Watcher(Protocol):
    """Whoever looks on while a suite runs."""

    def skipped(self, n: int) -> None:
        """`n` cells were done before."""

    def ended(self, name: str, seconds: float, reason: str | None) -> None:
        """A cell ended; `reason` says why it failed, None that it did not."""

    def at_work(self, cells: Sequence[AtWork]) -> None:
        """What is carried out now."""


def run_suite(
    cells: Sequence[SuiteCell], store: Store, executor: Executor, *, device: str, watch: Watcher
) -> None:
    """Carry out what is not done. A cell that fails leaves its reason in its folder and stops no other.

    Raises `CellFailed` at the end when any cell failed. An interrupt ends the running cells; they go on next
    time from their last checkpoint.
    """
    run = _Run(store, executor, device, watch)
    watch.skipped(sum(cell.state == "done" for cell in cells))
    for cell in cells:
        if cell.reason is not None:
            run.ended(cell, 0.0, cell.reason)
    try:
        trained = {cell.training for cell in cells if cell.state == "done"}
        # Whatever others are at comes last: it may be done by then.
        for cell in sorted(cells, key=lambda cell: cell.state == "taken"):
            if cell.state in ("begun", "new", "taken"):
                run.ask(cell, trained=cell.training in trained)
        run.carry_out()
    finally:
        executor.cancel()
        run.leave()
    if run.failures:
        raise CellFailed(f"{len(run.failures)} of {len(cells)} cells failed. " + "; ".join(run.failures))


class _Run:
    def __init__(self, store: Store, executor: Executor, device: str, watch: Watcher) -> None:
        self.store, self.executor, self.device, self.watch = store, executor, device, watch
        self.failures: list[str] = []
        self.cells: dict[Job, SuiteCell] = {}
        # What others are at, since when that is known, and which failure was there before.
        self.taken: dict[Job, tuple[float, int | None]] = {}
        self.looked = 0.0
        self.waiting: dict[str, list[SuiteCell]] = {}  # by the training that one of our cells is at
        # Of each suite its own files: another may ask for the same cell, of another device, while a queue keeps ours.
        self.own = secrets.token_hex(3)

    def ask(self, cell: SuiteCell, *, trained: bool) -> None:
        """Hand a cell to the executor; one whose weights another cell is about to train waits for that one, so that
        cells which differ in how they are drawn and scored are trained once."""
        if cell.training and not trained:
            if cell.training in self.waiting:
                self.waiting[cell.training].append(cell)
                return
            self.waiting[cell.training] = []
        self.submit(cell)

    def submit(self, cell: SuiteCell) -> None:
        logs = self.store.root / ".logs"
        job = Job(cell.name, logs / f"{cell.key}-{self.own}.json", logs / f"{cell.key}-{self.own}.log")
        spec = JobSpec(
            spec=cell.spec,
            out=self.store.root.absolute(),
            device=self.device,
            folder=Path.cwd(),
            dataset=cell.stored_as,
            model=cell.kept_as,
            key=cell.key,
            environment=environment_of_jobs(),
        )
        _write(job.spec, spec)
        self.cells[job] = cell
        self.executor.submit(job)

    def carry_out(self) -> None:
        while True:
            for outcome in self.executor.as_completed():
                if outcome is not None:
                    self.take(outcome)
                self.look(self.executor.running())
            if not self.taken:
                return
            time.sleep(LOOK)
            self.look({})

    def take(self, outcome: Outcome) -> None:
        """What became of a job."""
        cell, reason = self.cells[outcome.job], outcome.reason
        if outcome.status == "taken":
            self.taken[outcome.job] = time.monotonic(), failed_at(self._folder(cell))
            return
        if self.store.find(cell.stored_as, cell.kept_as, cell.key) is not None:
            reason = None  # however its process ended
        elif reason is None:
            log = _settled(outcome.job.log)
            reason = f"its process ended as if all were well and left no record; {log} has what it said"
        if reason is not None and not self._told(cell, outcome.job):
            facts = facts_of_failure(cell.spec, reason)
            try:
                self.store.record_failure(cell.stored_as, cell.kept_as, cell.key, facts)
            except InputError as error:  # a full disk, say; other cells may yet find room
                reason = f"{reason}; and that was not written down: {error}"
        self.put_down(outcome.job)
        self.ended(cell, outcome.seconds, reason)
        self.go_on(cell, trained=reason is None)

    def go_on(self, cell: SuiteCell, *, trained: bool) -> None:
        """With the cells that waited for the training of one: with all where there are weights now, else with one."""
        for waiting in self.waiting.pop(cell.training, ()):
            self.ask(waiting, trained=trained)

    def put_down(self, job: Job) -> None:
        """What a job was asked and said, once it has ended, under its cell's key."""
        del self.cells[job]
        for file in (job.spec, job.log):
            with suppress(OSError):  # it said nothing; or the disk is full, which costs nobody a number
                os.replace(file, _settled(file))

    def leave(self) -> None:
        """Put down what is left, of jobs that were cancelled."""
        for job in [*self.cells]:
            self.put_down(job)

    def ended(self, cell: SuiteCell, seconds: float, reason: str | None) -> None:
        if reason is not None:
            self.failures.append(f"{cell.name}: {reason}")
        self.watch.ended(cell.name, seconds, reason)

    def look(self, running: Mapping[Job, float]) -> None:
        """Tell the watcher who is at what, and take note of what others have ended."""
        if time.monotonic() - self.looked < LOOK:
            return
        held = self.store.leases.all()
        now = time.monotonic()
        for job in [job for job in self.taken if self.cells[job].key not in held]:
            self.let_go(job, *self.taken.pop(job))
        self.watch.at_work(
            [self._at_work(job, seconds, held, ours=True) for job, seconds in running.items()]
            + [self._at_work(job, now - since, held, ours=False) for job, (since, _) in self.taken.items()]
        )
        self.looked = time.monotonic()

    def let_go(self, job: Job, since: float, failed_before: int | None) -> None:
        """Of a cell that somebody else was at and is no more."""
        cell, seconds = self.cells[job], time.monotonic() - since
        reason = None
        if self.store.find(cell.stored_as, cell.kept_as, cell.key) is None:
            changed = failed_at(self._folder(cell)) != failed_before
            if not changed or (failure := failure_of(self._folder(cell))) is None:
                self.executor.submit(job)  # it was killed, or interrupted
                return
            reason = failure.reason or "nobody knows why"
        del self.cells[job]
        # What whoever carried it out said is kept, and not that it was taken.
        for file in (job.spec, job.log):
            file.unlink(missing_ok=True)
        self.ended(cell, seconds, reason)
        self.go_on(cell, trained=reason is None)

    def _told(self, cell: SuiteCell, job: Job) -> bool:
        """Whether somebody wrote why the cell failed since the job was asked for; who was killed, or could not begin,
        did not."""
        failed = failed_at(self._folder(cell))
        try:
            return failed is not None and failed >= job.spec.stat().st_mtime_ns
        except OSError:
            return False

    def _folder(self, cell: SuiteCell) -> Path:
        return self.store.cell_dir(cell.stored_as, cell.kept_as, cell.key)

    def _at_work(self, job: Job, seconds: float, held: Mapping[str, Holder], *, ours: bool) -> AtWork:
        holder = held.get(self.cells[job].key)
        return AtWork(job.name, seconds, "" if holder is None else holder.words, ours, last_line(job.log))


def _settled(file: Path) -> Path:
    """What a file of a job is called once the job has ended: KEY.json of KEY-1f2e3d.json."""
    return file.with_name(file.stem.partition("-")[0] + file.suffix)


def _write(file: Path, spec: JobSpec) -> None:
    """What a job is asked."""
    temporary = temporary_name(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(spec.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise cannot_write(file, error) from error

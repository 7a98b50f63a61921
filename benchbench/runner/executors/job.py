"""One cell from a file: what `benchbench job SPEC.json` does, and what every executor starts.

A job needs nobody: it holds the lease of its cell, writes the record, or why there is none, and its exit code is the
error's own (0 done, 75 another process carries the cell out already, 143 asked to end). What it prints is lines, the
last of which says where it is or why it ended. Where it is told so it ends with its parent (`--with-parent`), as
soon as standard input closes; the store takes that as it takes any kill.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError, field_validator

from benchbench.core.errors import BenchbenchError, CellFailed, InputError, limit_of_machine
from benchbench.core.interrupts import TERMINATED
from benchbench.core.paths import printable
from benchbench.core.reading import open_regular
from benchbench.core.validation import first_fault, shown
from benchbench.results.key import is_key
from benchbench.results.lease import Taken
from benchbench.runner.executors.executor import SPEAKER
from benchbench.runner.spec import CellSpec, Location

if TYPE_CHECKING:
    from benchbench.runner.plan import Desk

EVERY = 2.0  # seconds between lines of one stage
PASSED_ON = ("BENCHBENCH_", "OMP_NUM_THREADS")
"""What the names of environment variables begin with that a job needs as whoever planned it has them."""
_MOST = 2**20  # bytes of a file that asks for one cell


class JobSpec(BaseModel, extra="forbid", frozen=True):
    """What is asked of a job.

    Attributes:
        spec: The cell.
        out: The store's folder.
        device: As `core.device.resolve_device` takes it, on the machine that carries the cell out.
        folder: From which paths are meant.
        dataset: The dataset's name in the store.
        model: The model's name in the store.
        key: Under which the cell was planned.
        environment: Variables that whoever planned it had set (`PASSED_ON`).
    """

    spec: CellSpec
    out: Location
    device: str
    folder: Location
    dataset: str
    model: str
    key: str
    environment: dict[str, str]

    @field_validator("key")
    @classmethod
    def _a_key(cls, key: str) -> str:
        if not is_key(key):  # leases and folders are called so
            raise ValueError(f"{shown(key)} is not the key of a cell")
        return key

    @field_validator("environment")
    @classmethod
    def _no_others(cls, variables: dict[str, str]) -> dict[str, str]:
        for name, value in variables.items():
            if not name.startswith(PASSED_ON) or "=" in name or "\0" in name + value:
                raise ValueError(f"a job does not set {shown(name)}")
        return variables


def environment_of_jobs() -> dict[str, str]:
    """Of this process's environment what jobs need wherever they run."""
    return {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}


def read_job(file: Path) -> JobSpec:
    """What a file asks for; `InputError` where it is none."""
    try:
        with open_regular(file) as content:
            text = content.read(_MOST)
        return JobSpec.model_validate_json(text)
    except OSError as error:
        raise InputError(f"cannot read the job {file}: {error.strerror or error}") from error
    except ValidationError as error:
        fault = first_fault(error)
        raise InputError(
            f"{file} asks for no cell ({fault.where or 'its content'}: {fault.reason}); a suite writes such files into "
            ".logs/ of its store"
        ) from error


def settle(job: JobSpec) -> None:
    """Make this process one that the job can be carried out in; before torch is imported, which reads the number of
    threads then. `InputError` where the folder is not there."""
    os.environ.update(job.environment)
    try:
        os.chdir(job.folder)
    except OSError as error:
        raise InputError(
            f"cannot work in {job.folder}: {error.strerror}; does this machine see it?"
        ) from error


def end_with_parent() -> None:
    """From now on this process ends when standard input closes, which whoever started it holds open while it lives."""

    def wait() -> None:
        while os.read(0, 4096):  # not sys.stdin, whose lock would be held when the interpreter ends
            pass
        os._exit(CellFailed.exit_code)

    threading.Thread(target=wait, daemon=True).start()


def carry_out(job: JobSpec, desk: Desk | None = None, *, asked: int | None = None) -> int:
    """Carry the cell out in this process. Returns the exit code.

    The lease of the cell is held until the record, or why there is none, is written: whoever waits for it finds either.

    desk: where data and networks may be at hand already; a new one where None. asked: when the job was asked for, in
    nanoseconds by the clock of the file system; a cell that failed since, in the hands of another suite, is not carried
    out once more. None to do it whatever was before.
    """
    from benchbench.results.store import Store

    try:
        with Store(job.out).leases.held(job.key):
            if (reason := _failed_since(job, asked)) is not None:
                refuse(reason)
                return CellFailed.exit_code
            return _held(job, desk)
    except (Taken, InputError) as error:  # of the lease, which another has, or which cannot be written
        refuse(str(error))
        return error.exit_code


def _failed_since(job: JobSpec, asked: int | None) -> str | None:
    """Why somebody else's attempt failed since the job was asked for; None where nobody's did."""
    from benchbench.results.load import failed_at, failure_of
    from benchbench.results.store import Store

    folder = Store(job.out).cell_dir(job.dataset, job.model, job.key)
    if asked is None or (failed := failed_at(folder)) is None or failed <= asked:
        return None
    failure = failure_of(folder)
    return None if failure is None else failure.reason or "nobody knows why"


def _held(job: JobSpec, desk: Desk | None) -> int:
    """`carry_out` of a cell whose lease is ours."""
    try:
        _carried_out(job, desk)
    except KeyboardInterrupt:
        refuse("asked to end; the same suite goes on from here")
        return TERMINATED
    except (Exception, SystemExit) as error:
        if not isinstance(error, BenchbenchError):
            traceback.print_exc()
        code, reason = _ended(error)
        _write_failure(job, reason)
        refuse(reason)
        return code
    return 0


def _carried_out(job: JobSpec, desk: Desk | None) -> None:
    from benchbench.core.arrays import default_float32
    from benchbench.core.device import resolve_device
    from benchbench.core.machine import settle_in
    from benchbench.core.runtime import Runtime
    from benchbench.results.store import Store
    from benchbench.runner.cell import run_cell
    from benchbench.runner.failures import failing_alone
    from benchbench.runner.plan import Desk, make_plans

    runtime = Runtime(resolve_device(job.device), None, Lines())
    with default_float32():
        settle_in(runtime.progress)
        desk = desk or Desk(runtime)
        desk.runtime = runtime
        [plan] = make_plans(job.spec, [job.spec.seed], desk)
        if plan.key != job.key:
            raise InputError(
                f"it was planned as the cell {job.key} and is {plan.key} here: the data, benchbench or what else "
                "the cell depends on were changed meanwhile or are others on this machine; plan the suite again"
            )
        with failing_alone(plan.made_of):
            print(run_cell(plan, Store(job.out), runtime, lease=False).path, flush=True)


def _ended(error: BaseException) -> tuple[int, str]:
    """The exit code and the sentence."""
    if isinstance(error, BenchbenchError):
        return error.exit_code, str(error)
    if isinstance(error, Exception) and (words := limit_of_machine(error)) is not None:
        return CellFailed.exit_code, words
    return CellFailed.exit_code, f"this is a bug in benchbench: {type(error).__name__}: {error}"


def facts_of_failure(spec: CellSpec, reason: str) -> dict[str, Any]:
    """What a store is told of a cell that failed."""
    from benchbench.results.provenance import utc_now

    facts = {"seed": spec.seed, "reason": reason, "when": utc_now()}
    # A failed cell is called what its rows would have been.
    return facts | ({"model": spec.name} if spec.name else {})


def _write_failure(job: JobSpec, reason: str) -> None:
    """Into the cell's folder. Where that cannot be written either, the sentence in the log is all there is."""
    from benchbench.results.store import Store

    try:
        Store(job.out).record_failure(job.dataset, job.model, job.key, facts_of_failure(job.spec, reason))
    except InputError as error:
        refuse(str(error))


def say(text: str) -> None:
    """A line into the log."""
    print(text, file=sys.stderr, flush=True)


def refuse(text: str) -> None:
    """Why the job ended: as every verb says it, whoever started this one."""
    say(f"{SPEAKER}{printable(text)}")


class Lines:
    """A `core.progress.Progress` that prints lines, so that the last one always says where the job is."""

    def note(self, text: str) -> None:
        say(text)

    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[_Stage]:
        stage = _Stage(title, total, unit, done)
        stage.say()
        yield stage
        stage.say()


class _Stage:
    def __init__(self, title: str, total: int, unit: str, done: int) -> None:
        self.title, self.total, self.unit, self.done = title, total, unit, done
        self.numbers: dict[str, float] = {}
        self.said = 0.0

    def advance(self, n: int = 1, **numbers: float) -> None:
        self.done += n
        self.numbers |= numbers
        if time.monotonic() - self.said > EVERY:
            self.say()

    def say(self) -> None:
        numbers = "".join(f"  {name} {value:.4g}" for name, value in self.numbers.items())
        whole = f"/{self.total}" if self.total else ""
        say(f"{self.title} {self.done}{whole} {self.unit}s{numbers}")
        self.said = time.monotonic()

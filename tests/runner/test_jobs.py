"""A job and the lease of its cell: nobody begins what another is at or has failed at, and of several ranks one asks.

Nothing is trained or drawn here: what a cell does is replaced.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner
from ranks import on_ranks

from benchbench.cli import cli
from benchbench.core.comm import Comm
from benchbench.core.errors import CellFailed, InputError
from benchbench.core.progress import SILENT
from benchbench.core.runtime import Runtime
from benchbench.results.lease import Taken
from benchbench.results.store import FAILED, Store
from benchbench.runner import cell
from benchbench.runner.executors import job
from benchbench.runner.executors.executor import Job, Queue, last_line
from benchbench.runner.executors.job import JobSpec, carry_out, read_job
from benchbench.runner.plan import Plan
from benchbench.runner.spec import CellSpec

KEY = "00112233aabbccdd"


@pytest.fixture
def asked(tmp_path: Path) -> JobSpec:
    spec = CellSpec.of(model="noise", dataset="digits")
    return JobSpec(
        spec=spec, out=tmp_path, device="cpu", folder=tmp_path, dataset="digits", model="noise", key=KEY, environment={}
    )  # fmt: skip


def instead(monkeypatch: pytest.MonkeyPatch, does: Callable[[], None]) -> list[str]:
    """What the job does in place of the cell, and how often it did."""
    done: list[str] = []

    def carried_out(asked: JobSpec, desk: object) -> None:
        done.append(asked.key)
        does()

    monkeypatch.setattr(job, "_carried_out", carried_out)
    return done


def test_who_waits_for_a_cell_finds_why_it_failed(asked: JobSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is written while the lease is held: whoever sees the lease gone sees the reason."""
    store = Store(asked.out)
    write = job._write_failure

    def fail() -> None:
        raise CellFailed("it diverged")

    def watched(spec: JobSpec, reason: str) -> None:
        assert store.leases.holder(KEY) is not None
        write(spec, reason)

    instead(monkeypatch, fail)
    monkeypatch.setattr(job, "_write_failure", watched)
    assert carry_out(asked) == CellFailed.exit_code
    assert "it diverged" in (store.cell_dir("digits", "noise", KEY) / FAILED).read_text()
    assert store.leases.all() == {}


def test_a_cell_that_failed_meanwhile_is_left_alone(
    asked: JobSpec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the time at which a suite asked for it; who calls the job by hand wants it done again."""
    done = instead(monkeypatch, lambda: None)
    before = time.time_ns() - 10**9
    Store(asked.out).record_failure("digits", "noise", KEY, {"seed": 0, "reason": "it diverged elsewhere"})
    assert carry_out(asked, asked=before) == CellFailed.exit_code
    assert "it diverged elsewhere" in capsys.readouterr().err
    assert done == []
    assert carry_out(asked, asked=time.time_ns() + 10**9) == 0  # what failed before is tried again
    assert carry_out(asked) == 0
    assert len(done) == 2


def test_a_cell_in_other_hands_is_left_alone(asked: JobSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    done = instead(monkeypatch, lambda: None)
    with Store(asked.out).leases.held(KEY):
        assert carry_out(asked) == Taken.exit_code
    assert done == []


def test_a_lease_that_cannot_be_written_is_a_sentence(
    asked: JobSpec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where the folder of leases should be."""
    done = instead(monkeypatch, lambda: None)
    (asked.out / ".leases").write_text("")
    assert carry_out(asked) == 2
    assert "cannot write" in capsys.readouterr().err
    assert done == []


@pytest.mark.parametrize("size", [1, 3])
def test_ranks_wait_together_and_one_has_the_lease(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody else has it all of them wait; then rank 0 holds it and no other rank has a file of its own."""
    monkeypatch.setattr(cell, "POLL", 0.02)
    store = Store(tmp_path)
    plan = cast(Plan, SimpleNamespace(dataset=SimpleNamespace(name="digits"), kept_as="noise", key=KEY))
    looked = threading.Semaphore(0)
    find = store.find

    def counted(*where: Any) -> Path | None:
        looked.release()
        return find(*where)

    monkeypatch.setattr(store, "find", counted)

    def take(comm: Comm) -> tuple[Path | None, int, list[str]]:
        with ExitStack() as held:
            found = cell._record_or_lease(plan, store, Runtime(progress=SILENT, comm=comm), held)
            both = comm.gather([path.name for path in (tmp_path / ".leases").iterdir()])
            return found, comm.rank, both[0]

    other = ExitStack()
    other.enter_context(store.leases.held(KEY))
    let_go = threading.Thread(target=lambda: (looked.acquire(), looked.acquire(), other.close()))
    let_go.start()
    assert on_ranks(size, take) == [(None, rank, [KEY]) for rank in range(size)]
    let_go.join()
    assert store.leases.all() == {}


@pytest.mark.parametrize("key", ["", "../../escaped", "/tmp/elsewhere", "0011.2233aabb", "A" * 16])
def test_a_key_that_is_none_is_refused(asked: JobSpec, tmp_path: Path, key: str) -> None:
    """Leases and folders are called by it, so one that was edited would be written to somewhere else."""
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(asked.model_dump(mode="json") | {"key": key}))
    with pytest.raises(InputError, match="is not the key of a cell"):
        read_job(file)


def test_a_job_named_from_another_folder(
    asked: JobSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path is meant from where it was typed, though the work is done in the folder that it names; when it was asked
    for is the time of the file."""
    file = tmp_path / "spec.json"
    (tmp_path / "work").mkdir()
    file.write_text(json.dumps(asked.model_dump(mode="json") | {"folder": str(tmp_path / "work")}))
    told: list[int | None] = []

    def carried_out(spec: JobSpec, *, asked: int | None) -> int:
        told.append(asked)
        return 0

    monkeypatch.setattr(job, "carry_out", carried_out)
    monkeypatch.setattr(job, "end_with_parent", lambda: None)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["job", "spec.json", "--with-parent"], catch_exceptions=False)
    assert (result.exit_code, told) == (0, [file.stat().st_mtime_ns])


@pytest.mark.parametrize(
    ("code", "words"), [(-9, "SIGKILL; out of memory?"), (-6, "SIGABRT"), (-40, "signal 40")]
)
def test_whatever_signal_ended_a_cell(tmp_path: Path, code: int, words: str) -> None:
    """Names are those of signal(7); signals for real-time work have numbers alone."""

    class Host:
        def start(self, job: Job) -> None:
            self.job = job

        def ended(self, seconds: float) -> list[tuple[Job, int]]:
            return [(self.job, code)]

        def end(self) -> None:
            pass

    queue = Queue(Host(), 1)
    queue.submit(Job("one", tmp_path / "one.json", tmp_path / "one.log"))
    (outcome,) = queue.as_completed()
    assert outcome is not None
    assert (outcome.status, outcome.reason) == ("failed", f"its process was ended by {words}")


def test_why_a_job_ended_is_said_as_by_every_verb(
    asked: JobSpec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line begins as those of other verbs do, whatever the reason; a record and a suite have the reason alone."""

    def ends(error: BaseException) -> str:
        with monkeypatch.context() as patch:
            instead(patch, lambda: (_ for _ in ()).throw(error))
            carry_out(asked)
        return capsys.readouterr().err.splitlines()[-1]

    assert ends(CellFailed("it diverged")) == "benchbench: it diverged"
    assert ends(KeyboardInterrupt()) == "benchbench: asked to end; the same suite goes on from here"
    assert ends(CellFailed("a\x1b[2Jb")) == "benchbench: a\\x1b[2Jb"
    with Store(asked.out).leases.held(KEY):
        assert ends(AssertionError()).startswith(
            f"benchbench: the cell {KEY} is being carried out by process "
        )
    log = asked.out / "log"
    log.write_text("step 3\nbenchbench: it diverged\n")
    assert last_line(log) == "it diverged"
